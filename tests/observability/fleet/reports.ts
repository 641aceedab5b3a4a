/**
 * Reports of isolates for tests.
 *
 * @module
 */
import type { FleetPoolStats, FleetReport } from "../../../shared/observability/fleet/mod.ts";

/** Returns statistics of a pool at rest, with some of them replaced. */
export function statsOf(stats: Partial<FleetPoolStats> = {}): FleetPoolStats {
  return {
    totalConnections: 2,
    activeConnections: 0,
    idleConnections: 2,
    waitingForConnection: 0,
    totalAcquired: 10,
    totalReleased: 10,
    totalCreated: 2,
    totalDestroyed: 0,
    totalTimeouts: 0,
    maxConnections: 10,
    limit: 10,
    ...stats,
  };
}

/** Returns the report of an isolate of `budgets`, with some of its members replaced. */
export function reportOf(isolate: string, report: Partial<FleetReport> = {}): FleetReport {
  return {
    version: 1,
    isolate,
    function: "budgets",
    region: "local",
    startedAtMs: 1_700_000_000_000,
    stats: statsOf(),
    interval: { calls: 3, errors: 1, maxWaitMs: 7 },
    circuits: { rest: { state: "closed" } },
    errors: { ACQUIRE_TIMEOUT: 1 },
    retries: 2,
    slowRequests: [{
      requestId: "req-1",
      endedAtMs: 1_700_000_000_500,
      method: "POST",
      status: 200,
      durationMs: 1_200,
      waitMs: 900,
    }],
    ...report,
  };
}
