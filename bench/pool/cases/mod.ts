/**
 * All cases.
 *
 * @module
 */
import { CONTENDERS } from "../contenders/mod.ts";
import { loadDriver } from "../drive.ts";
import { type Case, SLOTS, type Stand, TIMEOUT_MS } from "./case.ts";
import { expiryCase } from "./expiry.ts";
import { bytesCase, retentionCase } from "./memory.ts";
import { synchronousCase } from "./synchronous.ts";
import { crowdCase, manyCallersCase, oneCallerCase } from "./throughput.ts";

export type { Case, Entrant, Measurement, Metric, Stand } from "./case.ts";

/** Makes one of each contender, each with its own copy of the driver. */
export function openStands(): Promise<Stand[]> {
  return Promise.all(CONTENDERS.map(async (contender) => ({
    contender,
    session: contender.open({ slots: SLOTS, timeoutMs: TIMEOUT_MS }),
    driver: await loadDriver(contender.id),
  })));
}

/** Ends them. */
export async function closeStands(stands: readonly Stand[]): Promise<void> {
  for (const { session } of stands) await session.close();
}

/**
 * Cases that are measured in the same rounds. They are kept apart because a
 * full collection, which figures of the heap need and a large crowd brings
 * about, takes optimised code away from whoever is measured next.
 */
export interface Phase {
  readonly cases: readonly Case[];
  /** How many rounds go before those that count. */
  readonly warmUps: number;
  /** How many rounds count, as a part of those asked for. */
  readonly share: number;
}

/**
 * All cases.
 *
 * @param slow Whether to measure what takes seconds: the peers with the largest crowds.
 */
export function allPhases(stands: readonly Stand[], slow: boolean): Phase[] {
  const own = stands.filter(({ contender }) => contender.role === "ours" || contender.role === "floor");
  const quick = stands.filter(({ contender }) => contender.id !== "tarn");
  return [
    {
      cases: [synchronousCase(), oneCallerCase(stands), manyCallersCase(stands), bytesCase(stands)],
      warmUps: 10,
      share: 1,
    },
    { cases: [crowdCase(stands, 10_000, 2), crowdCase(slow ? stands : quick, 100_000, 1)], warmUps: 2, share: 1 / 4 },
    { cases: [expiryCase(stands, 10_000), expiryCase(slow ? stands : own, 50_000)], warmUps: 1, share: 1 / 4 },
    { cases: [retentionCase(own, 1_000_000)], warmUps: 1, share: 1 / 4 },
  ];
}
