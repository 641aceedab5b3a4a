/**
 * The counters of one pool, logged at an interval.
 *
 * @module
 */
import { type Clock, observe, systemClock, type Timer } from "../../resilience/mod.ts";
import { describeError } from "../log/mod.ts";
import { type Priority, priorityCounts } from "./health_sources.ts";

/** A pool of Postgres connections, by the counters that `pg` has. */
export interface CountedPool {
  /** The connections that exist. */
  readonly totalCount: number;
  /** The connections that are not in use. */
  readonly idleCount: number;
  /** The acquires that wait for one. */
  readonly waitingCount: number;
}

/** The pools by priority. */
export type PriorityPools = Readonly<Record<Priority, CountedPool>>;

/** The latest error of a pool. */
export interface RecordedError {
  /** Its message, without credentials and values of rows. */
  readonly message: string;
  /** The wall clock, as ISO 8601 in UTC. */
  readonly timestamp: string;
}

/** The metrics of a {@linkcode ConnectionHealthMonitor}. */
export interface ConnectionHealthMetrics {
  totalConnections: number;
  idleConnections: number;
  waitingRequests: number;
  /** The errors that were recorded. */
  errors: number;
  /** The latest of them; `null` for none. */
  lastError: RecordedError | null;
}

/** Options of a {@linkcode ConnectionHealthMonitor}; for tests. */
export interface ConnectionHealthMonitorOptions {
  /** Writes the metrics and the warnings. Default: the global `console`. */
  readonly console?: Pick<Console, "log" | "warn" | "error"> | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** More waiting requests than this are warned about, and more errors than {@linkcode MANY_ERRORS}. Source: the specification. */
const MANY_WAITING = 10;
const MANY_ERRORS = 5;

/**
 * Logs the metrics of a pool at an interval, and warns when many requests wait or many errors were recorded. Its timer does
 * not keep the process alive.
 *
 * @example
 * ```ts
 * const monitor = new ConnectionHealthMonitor(pools.highPriority, "highPriority");
 * monitor.startMonitoring();
 * pools.highPriority.on("error", ({ error }) => monitor.recordError(error));
 * ```
 */
export class ConnectionHealthMonitor {
  /** The pool. */
  readonly pool: CountedPool;
  /** The name of the pool in the log. */
  readonly name: string;
  /** The metrics, as of the latest {@linkcode updateMetrics}. */
  readonly metrics: ConnectionHealthMetrics = {
    totalConnections: 0,
    idleConnections: 0,
    waitingRequests: 0,
    errors: 0,
    lastError: null,
  };
  readonly #console: Pick<Console, "log" | "warn" | "error">;
  readonly #clock: Clock;
  #timer: Timer | undefined = undefined;

  /**
   * Creates a monitor. It does nothing until it is started.
   *
   * @param options Console and clock; for tests.
   */
  constructor(
    pool: CountedPool,
    name: string,
    { console: output = console, clock = systemClock }: ConnectionHealthMonitorOptions = {},
  ) {
    this.pool = pool;
    this.name = name;
    this.#console = output;
    this.#clock = clock;
  }

  /** Reads the counters of the pool. */
  updateMetrics(): void {
    this.metrics.totalConnections = this.pool.totalCount;
    this.metrics.idleConnections = this.pool.idleCount;
    this.metrics.waitingRequests = this.pool.waitingCount;
  }

  /**
   * Logs the metrics from now on. When it is called again, the new interval holds.
   *
   * @param interval The interval, in ms. Default: 30,000.
   * @throws {RangeError} when the interval is not a number above 0.
   */
  startMonitoring(interval: number = 30_000): void {
    if (!(interval > 0)) {
      throw new RangeError(`Cannot monitor the pool: the interval must be a number of ms above 0, it is ${interval}`);
    }
    this.stopMonitoring();
    const tick = () => {
      this.#timer = this.#clock.setTimer(tick, interval);
      // A pool that cannot be counted has an error; what a console throws has no other console.
      observe(() => this.updateMetrics(), (error) => this.recordError(error));
      observe(() => this.#report(), () => {});
    };
    this.#timer = this.#clock.setTimer(tick, interval);
  }

  /** Ends the logging. Idempotent. */
  stopMonitoring(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Counts an error, and keeps its message. */
  recordError(error: unknown): void {
    this.metrics.errors++;
    this.metrics.lastError = { message: describeError(error).error, timestamp: new Date().toISOString() };
  }

  #report(): void {
    const { name, metrics } = this;
    this.#console.log(`Pool ${name} metrics:`, metrics);
    if (metrics.waitingRequests > MANY_WAITING) {
      this.#console.warn(`High number of waiting requests in ${name} pool: ${metrics.waitingRequests}`);
    }
    if (metrics.errors > MANY_ERRORS) {
      this.#console.error(`High number of errors in ${name} pool: ${metrics.errors}`);
    }
  }
}

/** The monitors of the pools by priority. */
export type PriorityMonitors = Readonly<Record<Priority, ConnectionHealthMonitor>>;

/**
 * Creates a monitor for each pool by priority.
 *
 * @example
 * ```ts
 * const pools = PostgresPools.fromEnv();
 * const monitors = monitorsOf(pools);
 * Object.values(monitors).forEach((monitor) => monitor.startMonitoring());
 * ```
 */
export function monitorsOf(pools: PriorityPools, options?: ConnectionHealthMonitorOptions): PriorityMonitors {
  return Object.freeze({
    highPriority: new ConnectionHealthMonitor(pools.highPriority, "highPriority", options),
    lowPriority: new ConnectionHealthMonitor(pools.lowPriority, "lowPriority", options),
    admin: new ConnectionHealthMonitor(pools.admin, "admin", options),
  });
}

/** Returns the counters of a pool of the data layer, which are 0 while it has none of that priority. */
function countedPool(priority: Priority): CountedPool {
  return {
    get totalCount() {
      return priorityCounts(priority).totalConnections;
    },
    get idleCount() {
      return priorityCounts(priority).idleConnections;
    },
    get waitingCount() {
      return priorityCounts(priority).waitingForConnection;
    },
  };
}

/**
 * The monitors of this isolate: those of the pools by priority that the data layer connects with. A pool that nothing has
 * used has no connections; counting does not create it.
 *
 * @example
 * ```ts
 * await initializeDatabase();
 * Object.values(monitors).forEach((monitor) => monitor.startMonitoring());
 * ```
 */
export const monitors: PriorityMonitors = monitorsOf({
  highPriority: countedPool("highPriority"),
  lowPriority: countedPool("lowPriority"),
  admin: countedPool("admin"),
});
