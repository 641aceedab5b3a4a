/**
 * Single requests and leases: the slowest of the recent requests, and the lines of the log about connections. Loaded
 * only where it is switched on.
 *
 * @module
 */

// Slow requests.
export { SlowRequests, type SlowRequestsOptions, type TimedRequest } from "./slow_requests.ts";

// The log of connections.
export { type LoggedPool, PoolLog, type PoolLogOptions } from "./pool_log.ts";
