/**
 * The health of a client pool.
 *
 * @module
 */
import type { PoolStats } from "../pool/mod.ts";
import { messageOf, type ProbeResult } from "../resilience/mod.ts";
import type { CircuitStates } from "./circuits.ts";
import type { AnyClient } from "./client_template.ts";

/** The result of a health check. */
export interface PoolHealth {
  /** True if the test query succeeded and the pool is open. A pool whose slots are all leased is healthy. */
  readonly healthy: boolean;
  /** The result in detail. */
  readonly details: {
    /** The statistics of the pool; the probe does not appear in them. */
    readonly stats: PoolStats;
    /** The test query. */
    readonly testQuery: {
      readonly success: boolean;
      /** True if no query was sent, because health checks are off; `success` then says that none has failed. */
      readonly skipped?: true;
      /** The duration of the query, in ms. */
      readonly durationMs: number;
      /** The reason why the query failed. For operators; not for public responses. */
      readonly error?: string;
    };
    /** The state of each circuit breaker. Default: the pool has none. For operators; not for public responses. */
    readonly circuits?: CircuitStates;
  };
}

/** The longest that a health check waits for its query, in ms, even if the pool's own timeouts are longer. */
export const MAX_PROBE_MS = 5_000;

/** A table that projects do not have. */
const ABSENT_TABLE = "pool_health_probe";

/**
 * The codes of a Data API that works and has no such table: PostgREST's from its schema cache, and Postgres' own in
 * versions before 13.
 */
const TABLE_IS_ABSENT: readonly unknown[] = ["PGRST205", "42P01"];

/**
 * The default health query: asks for a table that does not exist, which works on
 * any project and with either kind of key. (The root of the Data API does not:
 * hosted projects let only secret keys read it.) Healthy is the response that
 * there is no such table, or its rows; a rejected key, a gateway error and a Data
 * API without a schema are not.
 *
 * PostgREST gives that response from its schema cache: a database that fails
 * later does not show. Set `healthQuery` to a query of a table of yours to check
 * the database as well.
 */
export async function queryDataApi(client: Pick<AnyClient, "from">): Promise<{ error: unknown }> {
  const { error } = await client.from(ABSENT_TABLE).select().limit(1);
  return { error: error && TABLE_IS_ABSENT.includes(error.code) ? null : error };
}

/** Returns the `testQuery` of a {@linkcode PoolHealth}. */
export function toTestQuery({ durationMs, error }: ProbeResult): PoolHealth["details"]["testQuery"] {
  if (error === undefined) return { success: true, durationMs };
  return { success: false, durationMs, error: messageOf(error) };
}

/** Returns the health of a pool whose health checks are off: its statistics, and no query. */
export function uncheckedHealth(stats: PoolStats, healthy: boolean, circuits?: CircuitStates): PoolHealth {
  const details = { stats, testQuery: { success: true, skipped: true, durationMs: 0 } as const };
  return { healthy, details: circuits ? { ...details, circuits } : details };
}
