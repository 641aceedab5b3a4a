/**
 * Monitors: the health of connections over time, and the counters of single pools in the log.
 *
 * @example
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * connectionMonitor.watch("postgres", manager);
 * connectionMonitor.start();
 * ```
 *
 * @module
 */

// All services.
export { ConnectionMonitor, connectionMonitor, type ConnectionMonitorOptions } from "./connection_monitor.ts";
export type { ConnectionMonitorEvents, ConnectionMonitorListener } from "./monitor_events.ts";
export type { HealthStatus, ServiceHealth } from "./service_health.ts";
export {
  addHealthSource,
  addPrioritySource,
  type CheckedService,
  type CheckResult,
  type PoolCounts,
  type Priority,
  type PrioritySource,
} from "./health_sources.ts";

// One pool.
export {
  type ConnectionHealthMetrics,
  ConnectionHealthMonitor,
  type ConnectionHealthMonitorOptions,
  type CountedPool,
  monitors,
  monitorsOf,
  type PriorityMonitors,
  type PriorityPools,
  type RecordedError,
} from "./connection_health_monitor.ts";
