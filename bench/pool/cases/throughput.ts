/**
 * How long an acquire and its release take.
 *
 * @module
 */
import { collect } from "../heap.ts";
import { CALLERS, type Case, type Measurement, type Stand } from "./case.ts";

async function time(ops: number, work: () => Promise<void>): Promise<Measurement> {
  collect();
  const start = performance.now();
  await work();
  return { ns: (performance.now() - start) * 1e6 / ops };
}

function throughput(
  id: string,
  title: string,
  stands: readonly Stand[],
  measure: (stand: Stand) => Promise<Measurement>,
): Case {
  const entrants = stands.map((stand) => ({
    id: stand.contender.id,
    title: stand.contender.title,
    measure: () => measure(stand),
  }));
  return { id, title, metrics: ["ns"], entrants };
}

/** One caller: a resource is always free. */
export function oneCallerCase(stands: readonly Stand[], ops: number): Case {
  return throughput("one", "one caller", stands, async ({ session, driver }) => {
    await driver.oneCaller(session, ops / 20);
    return await time(ops, () => driver.oneCaller(session, ops));
  });
}

/** Many callers: a resource is never free. */
export function manyCallersCase(stands: readonly Stand[], ops: number): Case {
  return throughput("callers", "100 callers", stands, async ({ session, driver }) => {
    await driver.manyCallers(session, CALLERS, ops / 20);
    return await time(ops, () => driver.manyCallers(session, CALLERS, ops));
  });
}

/** A crowd that comes at once; `times` crowds to a measurement. */
export function crowdCase(stands: readonly Stand[], waiters: number, times: number): Case {
  const thousands = waiters / 1_000;
  return throughput(`crowd_${thousands}k`, `${thousands}k waiters`, stands, async ({ session, driver }) => {
    await driver.crowd(session, 1_000);
    return await time(waiters * times, async () => {
      for (let count = 0; count < times; count++) await driver.crowd(session, waiters);
    });
  });
}
