/**
 * The lines of the log about the connections of pools.
 *
 * @module
 */
import { type Clock, memberOf, observe, systemClock, textOf, type Timer } from "../../resilience/mod.ts";
import type { StructuredLog } from "../log/mod.ts";

/** A pool whose events are logged: any pool of this library. */
export interface LoggedPool {
  /** Returns the current statistics. */
  getStats(): { readonly totalConnections: number };
  /** Calls a listener at each event: `acquired`, `released`, `healthCheck` and `error` are used. Default: it emits none. */
  on?(name: never, listener: never): unknown;
}

/** Options of a {@linkcode PoolLog}. */
export interface PoolLogOptions {
  /**
   * The fraction of requests whose leases are logged, from 0 to 1; the id of a request decides, so that functions that pass
   * it on log the same requests. Leases of no request are sampled one by one. Errors and health checks are always logged.
   * Default: 1.
   */
  readonly sample?: number | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** Returns the correlation id of the request that holds a lease. */
type IdOf = () => string;

/** An event of a lease that waits until it is known which request has taken it. */
interface Pending {
  readonly event: "connection_acquired" | "connection_released";
  readonly lease: unknown;
}

/** The request that holds a lease. */
interface Owner {
  /** Its id. A function is called only if a line is written: most requests need none. */
  readonly id: string | IdOf;
  readonly isSampled: boolean;
}

/** A pool that is logged. */
interface Logged {
  readonly pool: LoggedPool;
  /** The requests that hold its leases, by the number of the lease. */
  readonly owners: Map<number, Owner>;
  readonly pending: Pending[];
}

/** Maximum number of leases whose requests are known, and of events that wait. A lease that is never released stays. */
const MAX_OWNERS = 10_000;
const MAX_PENDING = 10_000;

/** Maximum lines in a second about errors with one code: one outage fails every attempt. */
const ERROR_LINES = 5;

/** Returns a number from 0 to below 1 that is the same for the same text, and spread evenly over texts. */
function fractionOf(text: string): number {
  // FNV-1a, and the end of MurmurHash3, which spreads texts that differ in their last character.
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

type Subscribe = (name: string, listener: (event: unknown) => void) => unknown;

/**
 * Logs the connections of pools: `connection_acquired` and `connection_released` at the level `debug`, `health_check` at
 * `debug` or, for a failed one, `warn`, and `connection_error` at `error`. What the log does not write costs nothing.
 *
 * @example
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * const log = new PoolLog(new StructuredLog({ level: "debug" }), { sample: 0.1 });
 * log.watch(manager);
 * // {"timestamp":"2026-01-02T03:04:05.678Z","correlationId":"42","level":"debug","event":"connection_acquired","data":{"connectionId":"1"}}
 * ```
 */
export class PoolLog {
  readonly #log: StructuredLog;
  readonly #sample: number;
  readonly #logsLeases: boolean;
  readonly #clock: Clock;
  readonly #pools = new WeakMap<object, Logged>();
  /** The pools with lines that wait. */
  readonly #waiting = new Set<Logged>();
  #timer: Timer | undefined = undefined;

  /** @throws {RangeError} when `sample` is not a number from 0 to 1. */
  constructor(log: StructuredLog, { sample = 1, clock = systemClock }: PoolLogOptions = {}) {
    if (!(sample >= 0 && sample <= 1)) throw new RangeError(`sample must be a number from 0 to 1: it is ${sample}`);
    this.#log = log;
    this.#sample = sample;
    this.#logsLeases = log.isWritten("debug") && sample > 0;
    this.#clock = clock;
  }

  /** Logs a pool from now on. Does nothing for one that is logged already. */
  watch(pool: LoggedPool): void {
    const on = pool.on?.bind(pool) as unknown as Subscribe | undefined;
    if (!on || this.#pools.has(pool)) return;
    const logged: Logged = { pool, owners: new Map(), pending: [] };
    this.#pools.set(pool, logged);
    if (this.#logsLeases) {
      on("acquired", (lease) => this.#onLease(logged, { event: "connection_acquired", lease }));
      on("released", (lease) => this.#onLease(logged, { event: "connection_released", lease }));
    }
    if (this.#log.isWritten("warn")) on("healthCheck", (event) => this.#onHealthCheck(logged, event));
    on("error", (event) => this.#onError(logged, event));
  }

  /** Notes the request that holds a lease: its lines have the id of the request, which is sampled as a whole. */
  own(pool: LoggedPool, leaseId: number, idOf: IdOf): void {
    if (!this.#logsLeases) return;
    const owners = this.#pools.get(pool)?.owners;
    if (!owners) return;
    if (owners.size >= MAX_OWNERS) owners.clear();
    if (this.#sample === 1) return void owners.set(leaseId, { id: idOf, isSampled: true });
    observe(() => {
      const id = idOf();
      owners.set(leaseId, { id, isSampled: this.#isSampled(id) });
    }, () => {});
  }

  /** Returns whether what has this key is logged: all of its lines are, or none of them. */
  #isSampled(key: string): boolean {
    return fractionOf(key) < this.#sample;
  }

  #onLease(logged: Logged, pending: Pending): void {
    if (logged.pending.length >= MAX_PENDING) return;
    logged.pending.push(pending);
    this.#waiting.add(logged);
    // The request learns the number of its lease in this turn.
    this.#timer ??= this.#clock.setTimer(() => this.#flush(), 0);
  }

  #flush(): void {
    this.#timer = undefined;
    for (const logged of this.#waiting) {
      // What an event holds may have no text; the others are written.
      for (const pending of logged.pending.splice(0)) observe(() => this.#writeLease(logged, pending), () => {});
    }
    this.#waiting.clear();
  }

  #writeLease({ pool, owners }: Logged, { event, lease }: Pending): void {
    const leaseId = Number(memberOf(lease, "leaseId"));
    const owner = owners.get(leaseId);
    if (event === "connection_released") owners.delete(leaseId);
    if (!(owner ? owner.isSampled : this.#isSampled(String(leaseId)))) return;
    // Under load, nearly all lines are beyond the limit of the log.
    if (this.#log.suppress()) return;
    const time = event === "connection_acquired" ? "waitedMs" : "heldMs";
    const data = {
      connectionId: String(memberOf(lease, "resourceId")),
      poolSize: pool.getStats().totalConnections,
      leaseId,
      lane: textOf(lease, "lane"),
      [time]: memberOf(lease, time),
    };
    this.#log.debug(event, { correlationId: owner?.id, data });
  }

  #onHealthCheck({ pool }: Logged, event: unknown): void {
    const healthy = memberOf(event, "healthy") === true;
    const error: unknown = memberOf(event, "error");
    const data = { poolSize: pool.getStats().totalConnections, healthy, durationMs: memberOf(event, "durationMs") };
    const entry = error === undefined ? { data } : { data, error, perSecond: ERROR_LINES };
    this.#log.write(healthy ? "debug" : "warn", "health_check", entry);
  }

  #onError({ pool }: Logged, event: unknown): void {
    const connectionId: unknown = memberOf(event, "connectionId") ?? memberOf(event, "resourceId");
    const data = {
      ...(connectionId === undefined ? {} : { connectionId: String(connectionId) }),
      poolSize: pool.getStats().totalConnections,
      source: textOf(event, "source"),
    };
    this.#log.error("connection_error", { data, error: memberOf(event, "error"), perSecond: ERROR_LINES });
  }
}
