/**
 * The options of the fleet, and the fleet as an isolate sees it. It has types only.
 *
 * @module
 */
import type { AlertEvent } from "../../observability/alerts/mod.ts";
import type { FleetRedis, FleetState, FleetStore } from "../../observability/fleet/mod.ts";
import type { LogData, LogLevel } from "../../observability/log/mod.ts";

/** Options of the fleet that win over the environment. */
export interface FleetOptions {
  /** A connection to Redis, such as a `RedisConnection` of the cache, which its owner closes. Default: one to `REDIS_URL`. */
  readonly redis?: FleetRedis | undefined;
  /** The leases that all isolates may hold at once; it needs Redis. Default: the variable `POOL_FLEET_CAP`, or no cap. */
  readonly cap?: number | undefined;
  /** The time after which the share of a killed isolate expires, in ms, 1,000 to 600,000. Default: 10,000. */
  readonly leaseMs?: number | undefined;
  /** Called with each alert that this isolate raises or clears for the fleet. Default: nothing is called. */
  readonly onAlert?: ((alert: AlertEvent) => unknown) | undefined;
  /** The shortest time between two reports, in ms. Default: 5,000. */
  readonly intervalMs?: number | undefined;
  /** The time between reports of an isolate at rest, in ms. Default: 10,000. */
  readonly idleIntervalMs?: number | undefined;
  /** The time after which an isolate that does not report counts no more, in ms, 1,000 to 30,000. Default: 28,000. */
  readonly dropMs?: number | undefined;
}

/** The fleet as an isolate sees it. */
export interface FleetView {
  /** The kind of the store. `undefined`: none was reached yet. */
  readonly store: FleetStore["kind"] | undefined;
  /** The state. `undefined`: it cannot be read. */
  readonly state: FleetState | undefined;
  /** The parts that are missing, in words. */
  readonly missing: readonly string[];
}

/** Writes a line of the log. */
export type LogLine = (level: LogLevel, event: string, data: LogData) => void;
