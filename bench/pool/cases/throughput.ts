/**
 * The time of an acquire and its release.
 *
 * @module
 */
import { tidy } from "../../support/heap.ts";
import { CALLERS, type Case, type Measurement, type Setup } from "./case.ts";

/** The approximate time of each measurement, so that each of many rounds is short. */
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
  setups: readonly Setup[],
  measurer: (setup: Setup) => () => Promise<number>,
): Case {
  const candidates = setups.map((setup) => {
    const measure = measurer(setup);
    return {
      id: setup.candidate.id,
      title: setup.candidate.title,
      measure: async (): Promise<Measurement> => ({ ns: await measure() }),
    };
  });
  return { id, title, metrics: ["ns"], candidates };
}

/** Measures as many operations as fit the budget at the speed of the last measurement. */
function budgeted(work: (ops: number) => Promise<void>): () => Promise<number> {
  let ns = 10_000;
  return async () => {
    const ops = Math.ceil(BUDGET_NS / ns);
    await work(ops / 10);
    return ns = await time(ops, () => work(ops));
  };
}

/** Returns the case of one caller: a resource is always free. */
export function oneCallerCase(setups: readonly Setup[]): Case {
  return throughput(
    "one",
    "one caller",
    setups,
    ({ opened, loops }) => budgeted((ops) => loops.oneCaller(opened, ops)),
  );
}

/** Returns the case of many callers: a resource is never free. */
export function manyCallersCase(setups: readonly Setup[]): Case {
  return throughput(
    "callers",
    `${CALLERS} callers`,
    setups,
    ({ opened, loops }) => budgeted((ops) => loops.manyCallers(opened, CALLERS, ops)),
  );
}

/** Returns the case of many callers that start at once; `times` crowds per measurement. */
export function crowdCase(setups: readonly Setup[], waiters: number, times: number): Case {
  const thousands = waiters / 1_000;
  return throughput(`crowd_${thousands}k`, `${thousands}k waiters`, setups, ({ opened, loops }) => async () => {
    await loops.crowd(opened, 5_000);
    return await time(waiters * times, async () => {
      for (let count = 0; count < times; count++) await loops.crowd(opened, waiters);
    });
  });
}
