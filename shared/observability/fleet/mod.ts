/**
 * The fleet: all isolates of a project, which report to a store, so that one page or one scrape shows them.
 *
 * @module
 */

// Reports and the state of the fleet.
export {
  FLEET_VERSION,
  type FleetDetail,
  type FleetInterval,
  type FleetIsolate,
  type FleetPoolStats,
  type FleetReply,
  type FleetReport,
  type FleetState,
  type FleetStore,
  type SlowRequest,
} from "./types.ts";

// Readers of what others wrote, of any version.
export { nameOf, parseAlert, parseSample, parseSlowRequest, parseStats } from "./parse.ts";

// Stores.
export { DataApiFleetStore, type DataApiFleetStoreOptions } from "./data_api_store.ts";
export { type FleetRedis, RedisFleetStore, type RedisFleetStoreOptions } from "./redis_store.ts";
export { FleetStoreError, type FleetStoreFailure } from "./errors.ts";

// The reports of an isolate.
export { type FleetIdentity, type FleetPool, FleetReporter, type FleetReporterOptions } from "./reporter.ts";
export type { ObservedRequest } from "./request_tally.ts";

// The cap.
export { type CappedLimits, type CappedPool, FleetCap, type FleetCapOptions } from "./cap.ts";

// Summaries.
export { type FleetGroup, type FleetTotals, groupsOf, openCircuits, totalsOf } from "./summary.ts";
export { sumStats } from "./stats.ts";
export { type FleetPercentiles, type FleetTimes, percentilesOf, sumTimes, TIME_BOUNDS_MS } from "./times.ts";
