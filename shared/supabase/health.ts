/**
 * The health of a client pool.
 *
 * @module
 */
import type { PoolStats } from "../pool/mod.ts";
import { messageOf, type ProbeResult } from "../resilience/mod.ts";

/** The result of a health check. */
export interface PoolHealth {
  /** Whether the test query succeeded and the pool is open. A pool whose slots are all leased is healthy. */
  readonly healthy: boolean;
  /** The result in detail. */
  readonly details: {
    /** The statistics of the pool; the probe does not appear in them. */
    readonly stats: PoolStats;
    /** The test query. */
    readonly testQuery: {
      readonly success: boolean;
      /** How long the query took, in ms. */
      readonly durationMs: number;
      /** Why the query failed. For operators; not for public responses. */
      readonly error?: string;
    };
  };
}

/** The longest that a health check waits for its query, in ms, even if the pool's own timeouts are longer. */
export const MAX_PROBE_MS = 5_000;

/** Returns the `testQuery` of a {@linkcode PoolHealth}. */
export function toTestQuery({ durationMs, error }: ProbeResult): PoolHealth["details"]["testQuery"] {
  if (error === undefined) return { success: true, durationMs };
  return { success: false, durationMs, error: messageOf(error) };
}
