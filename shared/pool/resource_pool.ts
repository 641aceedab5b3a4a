/**
 * The public face of the pool core.
 *
 * What may not enter this folder: anything that can be built as a wrapper
 * around {@linkcode ResourcePool}.
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "../resilience/mod.ts";
import { type AcquireOptions, BAD_FLOW, BAD_LANE, badMs, copyOfFlow, isFlow, isMs } from "./acquire_options.ts";
import type { Flow } from "./fair_queue.ts";
import type { PoolLimits, PoolLoad } from "./capacity.ts";
import { parseLimits, parsePoolConfig, type PoolConfig } from "./config.ts";
import { Dispatcher } from "./dispatcher.ts";
import { ConfigError, ForeignReleaseError, PoolClosedError } from "./errors.ts";
import { PoolEventHub, type PoolEvents, type PoolRecorder } from "./events.ts";
import { type AcquireLane, isLane } from "./lane.ts";
import type { Lease, ReleaseOptions } from "./lease.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { PoolStats } from "./stats.ts";

/** The environment of a pool; replaced in tests. */
export interface PoolRuntime {
  /** Default: the time of the isolate. */
  clock?: Clock;
  /** Yields numbers in `[0, 1)`, for jitter. Default: `Math.random`. */
  random?: () => number;
}

/** A shutdown under way, or finished. */
interface Shutdown {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  /** The instant at which leases are revoked, in ms of the pool's clock. */
  deadline: number;
  timer: Timer | undefined;
  finished: boolean;
}

/**
 * A bounded pool of resources that are expensive to create and used by one
 * holder at a time.
 *
 * Acquires are served first come, first served. An idle resource is leased at
 * once, the most recently used first. A released resource goes to the waiter
 * that came first before a newcomer can take it. Expiry is judged whenever the
 * pool is used; its timers only make it prompt, and never keep an isolate alive.
 *
 * Holders and listeners cannot break a pool: leases keep their state private,
 * and events are plain data.
 *
 * @example
 * ```ts
 * const pool = new ResourcePool({
 *   create: () => new WebSocket("wss://example.com"),
 *   destroy: (socket) => socket.close(),
 * }, { maxConnections: 20 });
 * await using lease = await pool.lease();
 * lease.resource.send("hello");
 * ```
 */
export class ResourcePool<T extends object> {
  /** The options of the pool; {@linkcode resize} may have changed the limits since. */
  readonly config: Readonly<PoolConfig>;

  readonly #clock: Clock;
  readonly #events = new PoolEventHub();
  readonly #dispatcher: Dispatcher<T>;
  /** The leases of `acquire`, by resource. Ended ones stay, so that a second release differs from a foreign one. */
  readonly #acquired = new WeakMap<T, Lease<T>>();
  #shutdown: Shutdown | undefined = undefined;

  /**
   * Creates a pool, which begins to create `minConnections` resources.
   *
   * @param config Options that differ from the defaults.
   * @throws {ConfigError} listing every invalid option.
   */
  constructor(factory: ResourceFactory<T>, config: Partial<PoolConfig> = {}, runtime: PoolRuntime = {}) {
    this.config = parsePoolConfig(config);
    const { clock = systemClock, random = Math.random } = runtime;
    this.#clock = clock;
    const parts = { factory, config: this.config, clock, random, events: this.#events };
    this.#dispatcher = new Dispatcher(parts, () => this.#finish());
  }

  /**
   * Leases a resource. The lease must be released; `await using` does it.
   *
   * @returns The lease of an idle resource, of a released one, or of a new one.
   * @throws {AcquireTimeoutError} when no resource became available in time.
   * @throws {QueueFullError} when `maxWaiters` acquires already wait.
   * @throws {AcquireAbortedError} when `signal` aborted.
   * @throws {CreateFailedError} when a resource could not be created, permanently.
   * @throws what `create` threw, once creating has failed for `createRetryMs` in a row.
   * @throws {PoolClosedError} once {@linkcode shutdown} was called.
   * @throws {ConfigError} when an option is invalid.
   */
  lease(options?: AcquireOptions): Promise<Lease<T>> {
    return this.#dispatcher.lease(options);
  }

  /**
   * Leases an idle resource. Never waits, creates or validates. A probe creates
   * its own resource, so that the lane `probe` never has an idle one.
   *
   * @returns The lease, or `undefined` when no resource can be leased at once.
   * @param flow See {@linkcode AcquireOptions.flow}.
   * @throws {ConfigError} when `lane` is not a lane, or `flow` not a flow.
   */
  tryLease(lane: AcquireLane = "normal", flow?: Flow): Lease<T> | undefined {
    if (lane === "probe") return undefined;
    if (lane !== "normal" && !isLane(lane)) throw new ConfigError([BAD_LANE], "acquire options");
    if (flow === undefined) return this.#dispatcher.tryLease(lane, undefined);
    const copy = copyOfFlow(flow);
    if (!isFlow(copy)) throw new ConfigError([BAD_FLOW], "acquire options");
    return this.#dispatcher.tryLease(lane, copy);
  }

  /**
   * Leases a resource, to be released with {@linkcode release}. Prefer
   * {@linkcode lease}: a resource does not know its holder, so that a second
   * `release` of it cannot be distinguished from the next holder's.
   *
   * @returns The resource.
   * @throws what {@linkcode lease} throws.
   */
  async acquire(options?: AcquireOptions): Promise<T> {
    const lease = await this.#dispatcher.lease(options);
    // A shutdown may have revoked it since it was granted.
    if (!lease.active) throw new PoolClosedError();
    const { resource } = lease;
    this.#acquired.set(resource, lease);
    return resource;
  }

  /**
   * Releases a resource that {@linkcode acquire} returned.
   *
   * @throws {DoubleReleaseError} when it was already released.
   * @throws {ForeignReleaseError} when it was not acquired from this pool.
   * @throws {LateReleaseError} when the shutdown of the pool had revoked its lease.
   */
  release(resource: T, options?: ReleaseOptions): void {
    const lease = this.#acquired.get(resource);
    if (!lease) throw new ForeignReleaseError();
    lease.release(options);
  }

  /** Returns the current statistics, as an immutable snapshot. */
  getStats(): PoolStats {
    return this.#dispatcher.stats();
  }

  /** The limits in force. */
  get limits(): PoolLimits {
    return this.#dispatcher.limits;
  }

  /**
   * Changes the limits. Idle resources above a lower maximum are destroyed at
   * once, leased ones at their release; waiters are served from what a higher
   * one adds. A floor that is not given follows a lower maximum. A pool that has
   * a maximum keeps having one.
   *
   * @throws {ConfigError} listing every invalid value; nothing is changed then.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#dispatcher.resize(parseLimits(limits, this.#dispatcher.limits));
  }

  /**
   * Halves the number of leases that may be out while memory is low, down to 1
   * (reserved connections stay), and closes the idle resources above the floor.
   * A further call with `true` only closes idle ones again.
   */
  setMemoryLow(isLow: boolean): void {
    this.#dispatcher.setMemoryLow(isLow);
  }

  /**
   * Changes the number of leases that the lanes without reserved connections may have, within `maxConnections`. Leases
   * that are out stay; waiters are served from what a higher limit adds. Emits `limitChanged`.
   *
   * @param limit At least 1.
   */
  adapt(limit: number): void {
    this.#dispatcher.adapt(limit);
  }

  /** Returns what a limit that follows load is judged by. */
  load(): PoolLoad {
    return this.#dispatcher.load();
  }

  /** Emits `limitChanged` for a change that is not applied. */
  reportLimit(limit: number, before: number): void {
    this.#events.emit("limitChanged", { limit, before, applied: false });
  }

  /**
   * Calls `listener` with each event of that name until the returned
   * subscription is disposed of. What a listener throws becomes an `error` event.
   */
  on<K extends keyof PoolEvents>(name: K, listener: (event: PoolEvents[K]) => void): Disposable {
    return this.#events.on(name, listener);
  }

  /** Passes the times of every lease to `recorder` until the returned subscription is disposed of. */
  record(recorder: PoolRecorder): Disposable {
    return this.#events.record(recorder);
  }

  /** True once {@linkcode shutdown} has begun. */
  get closed(): boolean {
    return this.#shutdown !== undefined;
  }

  /**
   * Shuts the pool down: leases nothing any more, rejects waiters, lets holders
   * finish until the deadline, and then revokes their leases. What needs no
   * waiting is done before this returns, in time for `beforeunload`. Each
   * further call returns the first one's promise, and can only bring the
   * deadline forward.
   *
   * @param deadlineMs The time that holders have, in ms. Default: the pool's `shutdownTimeoutMs`.
   * @throws {ConfigError} when `deadlineMs` is not a number of ms; nothing is done then.
   */
  shutdown(deadlineMs: number = this.config.shutdownTimeoutMs): Promise<void> {
    if (!isMs(deadlineMs)) {
      return this.#shutdown?.promise ??
        Promise.reject(new ConfigError([badMs("deadlineMs", deadlineMs)], "shutdown"));
    }
    const deadline = this.#clock.now() + deadlineMs;
    if (this.#shutdown) {
      if (deadline < this.#shutdown.deadline) this.#revokeAt(this.#shutdown, deadline, deadlineMs);
      return this.#shutdown.promise;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const shutdown = this.#shutdown = { promise, resolve, deadline: Infinity, timer: undefined, finished: false };
    this.#dispatcher.close();
    if (this.#dispatcher.size === 0) this.#finish();
    else this.#revokeAt(shutdown, deadline, deadlineMs);
    return promise;
  }

  #revokeAt(shutdown: Shutdown, deadline: number, deadlineMs: number): void {
    if (shutdown.finished) return;
    shutdown.deadline = deadline;
    shutdown.timer?.cancel();
    if (deadlineMs === 0) this.#revokeAll();
    else shutdown.timer = this.#clock.setTimer(() => this.#revokeAll(), deadlineMs);
  }

  #revokeAll(): void {
    this.#dispatcher.revokeAll();
    this.#finish();
  }

  #finish(): void {
    const shutdown = this.#shutdown;
    if (!shutdown || shutdown.finished) return;
    shutdown.finished = true;
    shutdown.timer?.cancel();
    shutdown.resolve();
    this.#events.emit("closed", { abandoned: this.#dispatcher.abandoned });
  }
}
