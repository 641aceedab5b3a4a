/**
 * How much memory an acquire and its release take, and how much they keep.
 *
 * @module
 */
import { heapLive, heapUsed, tidy } from "../../support/heap.ts";
import { CALLERS, type Case, type Stand } from "./case.ts";

/** So little is allocated between two readings of the heap that no collection comes between them. */
const WINDOW_BYTES = 400_000;

/** The largest of the figures measured so far; a first guess at what an operation takes. */
const GUESS_BYTES = 10_000;

/** So many operations go first: code that is not optimised yet allocates more. */
const WARM_UP = 20_000;

async function bytesPerOp({ session, driver }: Stand, ops: number): Promise<number> {
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
  await driver.probedCallers(session, { callers: CALLERS, skip: CALLERS * 5, ops, probe });
  return (last - first) / ops;
}

/** Bytes per operation with {@linkcode CALLERS} callers. What is allocated outside V8's heap (the runtime's timers) is not seen. */
export function bytesCase(stands: readonly Stand[]): Case {
  const entrants = stands.map((stand) => ({
    id: stand.contender.id,
    title: stand.contender.title,
    measure: async () => {
      await stand.driver.probedCallers(stand.session, { callers: CALLERS, skip: 1, ops: WARM_UP, probe: () => {} });
      const rough = await bytesPerOp(stand, Math.ceil(WINDOW_BYTES / GUESS_BYTES));
      return { bytes: await bytesPerOp(stand, Math.max(CALLERS, Math.ceil(WINDOW_BYTES / Math.max(rough, 100)))) };
    },
  }));
  return { id: "bytes", title: "bytes per op, 100 callers", metrics: ["bytes"], entrants };
}

/** What stays in the heap after so many leases. */
export function retentionCase(stands: readonly Stand[], leases: number): Case {
  const entrants = stands.map(({ contender, session, driver }) => ({
    id: contender.id,
    title: contender.title,
    measure: async () => {
      await driver.manyCallers(session, CALLERS, 1_000);
      const before = heapLive();
      await driver.manyCallers(session, CALLERS, leases);
      return { retainedBytes: heapLive() - before };
    },
  }));
  return {
    id: "retention",
    title: `heap kept after ${leases.toLocaleString("en")} leases`,
    metrics: ["retainedBytes"],
    entrants,
  };
}
