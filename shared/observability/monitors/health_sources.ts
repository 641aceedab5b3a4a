/**
 * The services of this isolate that can be checked, and its pools by priority: what creates them adds them here, and
 * `connectionMonitor` and `monitors` watch them.
 *
 * @module
 */

/** The result of a check, as the pools of this library return it. */
export interface CheckResult {
  /** True if the service responded. */
  readonly healthy: boolean;
  /** The reason why not. */
  readonly error?: unknown;
}

/** A service that can be checked: a pool, for example. */
export interface CheckedService {
  /**
   * Checks whether the service responds. A rejection is a failure. The pools of this library use their probe slot, which
   * no load takes away.
   */
  healthCheck(): PromiseLike<CheckResult>;
  /**
   * Calls `listener` at each event of that name. `error` (`{ error }`) and `primaryChanged` (`{ from, to }`) are listened to
   * while the service is monitored. Default: it emits none.
   */
  on?(name: never, listener: never): unknown;
}

/** The services by name. */
const services = new Map<string, CheckedService>();

/** The services of this isolate that `connectionMonitor` checks, by name. */
export const healthSources: ReadonlyMap<string, CheckedService> = services;

/**
 * Adds a service to those that `connectionMonitor` checks, until the result is disposed of. The latest one with a name
 * counts.
 */
export function addHealthSource(name: string, service: CheckedService): Disposable {
  services.set(name, service);
  return {
    [Symbol.dispose]: () => {
      if (services.get(name) === service) services.delete(name);
    },
  };
}

/** The priorities of pools. */
export type Priority = "highPriority" | "lowPriority" | "admin";

/** The counters of one pool. */
export interface PoolCounts {
  readonly totalConnections: number;
  readonly idleConnections: number;
  readonly waitingForConnection: number;
}

/** Pools by priority. */
export interface PrioritySource {
  /** Returns the counters of those pools that were used. */
  getStats(): Readonly<Partial<Record<Priority, PoolCounts>>>;
}

let prioritySource: PrioritySource | undefined = undefined;

/** Adds the pools that `monitors` count, until the result is disposed of. The latest ones count. */
export function addPrioritySource(source: PrioritySource): Disposable {
  prioritySource = source;
  return {
    [Symbol.dispose]: () => {
      if (prioritySource === source) prioritySource = undefined;
    },
  };
}

const NO_COUNTS: PoolCounts = Object.freeze({ totalConnections: 0, idleConnections: 0, waitingForConnection: 0 });

/** Returns the counters of the pool of a priority; zeros if none was used. */
export function priorityCounts(priority: Priority): PoolCounts {
  return prioritySource?.getStats()[priority] ?? NO_COUNTS;
}
