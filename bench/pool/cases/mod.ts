/**
 * The cases of the pool benchmark.
 *
 * @module
 */
import type { Phase } from "../../support/measure.ts";
import { CANDIDATES } from "../candidates/mod.ts";
import { loadLoops } from "../loops.ts";
import { type Metric, type Setup, SLOTS, TIMEOUT_MS } from "./case.ts";
import { expiryCase } from "./expiry.ts";
import { bytesCase, retentionCase } from "./memory.ts";
import { synchronousCase } from "./synchronous.ts";
import { crowdCase, manyCallersCase, oneCallerCase } from "./throughput.ts";

export type { Candidate, Case, Measurement, Metric, Setup } from "./case.ts";

/** Opens each candidate with its own copy of the loops. */
export function openSetups(): Promise<Setup[]> {
  return Promise.all(CANDIDATES.map(async (candidate) => ({
    candidate,
    opened: candidate.open({ slots: SLOTS, timeoutMs: TIMEOUT_MS }),
    loops: await loadLoops(candidate.id),
  })));
}

/** Closes all candidates. */
export async function closeSetups(setups: readonly Setup[]): Promise<void> {
  for (const { opened } of setups) await opened.close();
}

/**
 * Returns all cases. Phases are separate, because a full collection (for the heap size, or after a large crowd) discards
 * optimized code of the candidates measured next.
 *
 * @param slow Whether to measure all candidates with the largest crowds, which takes seconds.
 */
export function allPhases(setups: readonly Setup[], slow: boolean): Phase<Metric>[] {
  const own = setups.filter(({ candidate }) => candidate.role === "ours" || candidate.role === "floor");
  const quick = setups.filter(({ candidate }) => candidate.id !== "tarn");
  return [
    {
      cases: [synchronousCase(), oneCallerCase(setups), manyCallersCase(setups), bytesCase(setups)],
      warmUps: 10,
      share: 1,
    },
    { cases: [crowdCase(setups, 10_000, 2), crowdCase(slow ? setups : quick, 100_000, 1)], warmUps: 2, share: 1 / 4 },
    { cases: [expiryCase(setups, 10_000), expiryCase(slow ? setups : own, 50_000)], warmUps: 1, share: 1 / 4 },
    { cases: [retentionCase(own, 1_000_000)], warmUps: 1, share: 1 / 4 },
  ];
}
