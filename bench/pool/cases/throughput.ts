/**
 * How long an acquire and its release take.
 *
 * @module
 */
import { tidy } from "../../support/heap.ts";
import { CALLERS, type Case, type Measurement, type Stand } from "./case.ts";

/** Every measurement takes about so long, whoever is measured, so that each of many rounds is short. */
const BUDGET_NS = 25e6;

async function time(ops: number, work: () => Promise<void>): Promise<number> {
  tidy();
  const start = performance.now();
  await work();
  return (performance.now() - start) * 1e6 / ops;
}

function throughput(
  id: string,
  title: string,
  stands: readonly Stand[],
  measurer: (stand: Stand) => () => Promise<number>,
): Case {
  const entrants = stands.map((stand) => {
    const measure = measurer(stand);
    return {
      id: stand.contender.id,
      title: stand.contender.title,
      measure: async (): Promise<Measurement> => ({ ns: await measure() }),
    };
  });
  return { id, title, metrics: ["ns"], entrants };
}

/** Measures with as many operations as fit the budget, going by the time they took the last time. */
function budgeted(work: (ops: number) => Promise<void>): () => Promise<number> {
  let ns = 10_000;
  return async () => {
    const ops = Math.ceil(BUDGET_NS / ns);
    await work(ops / 10);
    return ns = await time(ops, () => work(ops));
  };
}

/** One caller: a resource is always free. */
export function oneCallerCase(stands: readonly Stand[]): Case {
  return throughput(
    "one",
    "one caller",
    stands,
    ({ session, driver }) => budgeted((ops) => driver.oneCaller(session, ops)),
  );
}

/** Many callers: a resource is never free. */
export function manyCallersCase(stands: readonly Stand[]): Case {
  return throughput(
    "callers",
    `${CALLERS} callers`,
    stands,
    ({ session, driver }) => budgeted((ops) => driver.manyCallers(session, CALLERS, ops)),
  );
}

/** A crowd that comes at once; `times` crowds to a measurement. */
export function crowdCase(stands: readonly Stand[], waiters: number, times: number): Case {
  const thousands = waiters / 1_000;
  return throughput(`crowd_${thousands}k`, `${thousands}k waiters`, stands, ({ session, driver }) => async () => {
    await driver.crowd(session, 5_000);
    return await time(waiters * times, async () => {
      for (let count = 0; count < times; count++) await driver.crowd(session, waiters);
    });
  });
}
