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

/** How much is measured in a round. */
export interface Extent {
  /** The part of the operations to run, 1 for all. */
  readonly scale: number;
  /** Whether to measure what takes seconds: the peers with the largest crowds. */
  readonly slow: boolean;
}

/** All cases. */
export function allCases(stands: readonly Stand[], { scale, slow }: Extent): Case[] {
  const own = stands.filter(({ contender }) => contender.role === "ours" || contender.role === "floor");
  const quick = stands.filter(({ contender }) => contender.id !== "tarn");
  return [
    synchronousCase(1_000_000 * scale),
    oneCallerCase(stands, 100_000 * scale),
    manyCallersCase(stands, 100_000 * scale),
    crowdCase(stands, 10_000, Math.ceil(4 * scale)),
    crowdCase(slow ? stands : quick, 100_000, 1),
    bytesCase(stands, 20_000 * scale),
    expiryCase(stands, 10_000),
    expiryCase(slow ? stands : own, 50_000),
    retentionCase(own, 1_000_000),
  ];
}
