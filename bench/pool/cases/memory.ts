/**
 * The memory that an acquire and its release allocate and retain.
 *
 * @module
 */
import { heapLive, heapUsed, tidy } from "../../support/heap.ts";
import { CALLERS, type Case, type Setup } from "./case.ts";

/** The bytes allocated between two readings of the heap size: too few for a collection. */
const WINDOW_BYTES = 400_000;

/** The largest value of any candidate, as the first estimate. */
const GUESS_BYTES = 10_000;

/** The operations before a measurement: code that is not optimized yet allocates more. */
const WARM_UP = 20_000;

async function bytesPerOp({ opened, loops }: Setup, ops: number): Promise<number> {
  let first = NaN;
  let last = NaN;
  const probe = () => {
    if (!Number.isNaN(first)) {
      last = heapUsed();
      return;
    }
    tidy();
    first = heapUsed();
  };
  await loops.probedCallers(opened, { callers: CALLERS, skip: CALLERS * 5, ops, probe });
  return (last - first) / ops;
}

/** Returns the case of the bytes per operation, without what the runtime allocates outside V8's heap (timers). */
export function bytesCase(setups: readonly Setup[]): Case {
  const candidates = setups.map((setup) => ({
    id: setup.candidate.id,
    title: setup.candidate.title,
    measure: async () => {
      await setup.loops.probedCallers(setup.opened, { callers: CALLERS, skip: 1, ops: WARM_UP, probe: () => {} });
      const rough = await bytesPerOp(setup, Math.ceil(WINDOW_BYTES / GUESS_BYTES));
      return { bytes: await bytesPerOp(setup, Math.max(CALLERS, Math.ceil(WINDOW_BYTES / Math.max(rough, 100)))) };
    },
  }));
  return { id: "bytes", title: "bytes per op, 100 callers", metrics: ["bytes"], candidates };
}

/** Returns the case of the heap retained after `leases` leases. */
export function retentionCase(setups: readonly Setup[], leases: number): Case {
  const candidates = setups.map(({ candidate, opened, loops }) => ({
    id: candidate.id,
    title: candidate.title,
    measure: async () => {
      await loops.manyCallers(opened, CALLERS, 1_000);
      const before = heapLive();
      await loops.manyCallers(opened, CALLERS, leases);
      return { retainedBytes: heapLive() - before };
    },
  }));
  return {
    id: "retention",
    title: `heap retained after ${leases.toLocaleString("en")} leases`,
    metrics: ["retainedBytes"],
    candidates,
  };
}
