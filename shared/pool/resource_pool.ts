/**
 * A pool of anything that is dear to make and can be lent to one holder at a
 * time.
 *
 * This is its public face. Who gets a resource, when, and who waits is the
 * {@linkcode Dispatcher}'s business; how a resource is made, checked and closed,
 * the `Inventory`'s; what it is, the {@linkcode ResourceFactory}'s.
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "../resilience/mod.ts";
import { type AcquireOptions, BAD_LANE, badMs, isMs } from "./acquire_options.ts";
import { parseLimits, parsePoolConfig, type PoolConfig } from "./config.ts";
import { Dispatcher } from "./dispatcher.ts";
import { ConfigError, ForeignReleaseError, PoolClosedError } from "./errors.ts";
import { EventHub, LEASE_EVENTS, type PoolEvents } from "./events.ts";
import { type AcquireLane, isLane } from "./lane.ts";
import type { Lease, ReleaseOptions } from "./lease.ts";
import type { PoolLimits } from "./limits.ts";
import type { PoolRecorder } from "./recorders.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { PoolStats } from "./stats.ts";

/** What a pool runs on; replaced in tests. */
export interface PoolRuntime {
  /** Default: the isolate's own time. */
  clock?: Clock;
  /** Yields numbers in `[0, 1)`, for jitter. Default: `Math.random`. */
  random?: () => number;
}

/** A shutdown under way, or over. */
interface Shutdown {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  /** When what is lent is taken back, in ms of the pool's clock. */
  cutAt: number;
  timer: Timer | undefined;
  finished: boolean;
}

/**
 * A bounded pool of resources.
 *
 * ```ts
 * const pool = new ResourcePool(factory, { maxConnections: 20 });
 * await using lease = await pool.lease();
 * await lease.resource.work();
 * ```
 *
 * Acquires are served first come, first served. A free resource is handed out
 * at once, the most recently used first; a resource that is given back goes to
 * the one who waited longest before anything else can take it. Expiry is judged
 * whenever the pool is used; its timers only make it prompt, and never keep an
 * isolate alive.
 */
export class ResourcePool<T extends object> {
  /** The options it was made with; `resize` may have changed the size since. */
  readonly config: Readonly<PoolConfig>;

  readonly #clock: Clock;
  readonly #events = new EventHub<PoolEvents>(LEASE_EVENTS);
  readonly #dispatcher: Dispatcher<T>;
  /** Resources lent by `acquire`, which are given back by themselves. */
  readonly #acquired = new WeakMap<T, Lease<T>>();
  #shutdown: Shutdown | undefined = undefined;

  /**
   * Begins to make `minConnections` resources.
   *
   * @throws {ConfigError} listing every bad option.
   */
  constructor(factory: ResourceFactory<T>, config: Partial<PoolConfig> = {}, runtime: PoolRuntime = {}) {
    this.config = parsePoolConfig(config);
    const { clock = systemClock, random = Math.random } = runtime;
    this.#clock = clock;
    this.#dispatcher = new Dispatcher(factory, this.config, clock, random, this.#events, () => this.#finish());
  }

  /**
   * Lends a resource. The lease must be released; `await using` does it.
   *
   * @throws {AcquireTimeoutError} when none came free in time.
   * @throws {QueueFullError} when `maxWaiters` wait already.
   * @throws {AcquireAbortedError} when `signal` aborted.
   * @throws {CreateFailedError} when a resource could not be made, for good.
   * @throws {PoolClosedError} once `shutdown` was called.
   * @throws {ConfigError} when `timeoutMs` is not a number of ms, or `lane` names none.
   */
  lease(options?: AcquireOptions): Promise<Lease<T>> {
    return this.#dispatcher.lease(options);
  }

  /**
   * Lends a resource if one is free now, and `undefined` otherwise. Never waits, makes or validates one. In the lane
   * `probe`, none ever is: each probe creates its own.
   *
   * @throws {ConfigError} when `lane` names none.
   */
  tryLease(lane: AcquireLane = "normal"): Lease<T> | undefined {
    if (lane === "probe") return undefined;
    if (lane !== "normal" && !isLane(lane)) throw new ConfigError([BAD_LANE], "acquire options");
    return this.#dispatcher.tryLease(lane);
  }

  /**
   * Lends a resource by itself, to be given back with {@linkcode release}.
   * Prefer {@linkcode lease}: a resource does not know to whom it was lent, so a
   * second `release` of it cannot be told from the next holder's.
   *
   * @throws what {@linkcode lease} throws.
   */
  async acquire(options?: AcquireOptions): Promise<T> {
    const lease = await this.lease(options);
    // A shutdown may have taken it back since it was granted.
    if (!lease.active) throw new PoolClosedError();
    const { resource } = lease;
    this.#acquired.set(resource, lease);
    return resource;
  }

  /**
   * Gives back what {@linkcode acquire} lent.
   *
   * @throws {DoubleReleaseError} when it is not lent at the moment.
   * @throws {ForeignReleaseError} when it was not acquired from this pool.
   * @throws {LateReleaseError} when the pool, shut down, had taken it back.
   */
  release(resource: T, options?: ReleaseOptions): void {
    const lease = this.#acquired.get(resource);
    if (!lease) throw new ForeignReleaseError();
    lease.release(options);
  }

  /** How the pool stands, as an immutable snapshot. */
  getStats(): PoolStats {
    return this.#dispatcher.stats();
  }

  /** How many resources there may be, and for whom. */
  get limits(): PoolLimits {
    return this.#dispatcher.limits;
  }

  /**
   * Changes how many resources there may be. What is free beyond the new limit
   * is closed at once, what is lent when it comes back; those who wait are served
   * from what was added. A floor that is not given follows a lower limit.
   *
   * @throws {ConfigError} listing every bad value; nothing is changed then.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#dispatcher.resize(parseLimits(limits, this.#dispatcher.limits));
  }

  /**
   * Calls `listener` at each event of that name until the subscription is
   * disposed of. What a listener throws is reported as an `error` event.
   */
  on<K extends keyof PoolEvents>(name: K, listener: (event: PoolEvents[K]) => void): Disposable {
    return this.#events.on(name, listener);
  }

  /** Gives the times of every lease to `recorder` until the subscription is disposed of. For metrics: see {@linkcode PoolRecorder}. */
  record(recorder: PoolRecorder): Disposable {
    return this.#events.recorders.add(recorder);
  }

  /**
   * Lends nothing any more, refuses those who wait, lets holders finish until
   * the deadline and then takes back what they hold. All that can be done
   * without waiting is done before this returns, as `beforeunload` needs it.
   * Every further call returns the first one's promise, and may only bring the
   * deadline forward.
   *
   * @param deadlineMs Default: the pool's `shutdownTimeoutMs`.
   * @throws {ConfigError} when `deadlineMs` is not a number of ms; nothing is done then.
   */
  shutdown(deadlineMs: number = this.config.shutdownTimeoutMs): Promise<void> {
    if (!isMs(deadlineMs)) {
      return this.#shutdown?.promise ??
        Promise.reject(new ConfigError([badMs("deadlineMs", deadlineMs)], "shutdown"));
    }
    const cutAt = this.#clock.now() + deadlineMs;
    if (this.#shutdown) {
      if (cutAt < this.#shutdown.cutAt) this.#cutIn(this.#shutdown, cutAt, deadlineMs);
      return this.#shutdown.promise;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const shutdown = this.#shutdown = { promise, resolve, cutAt: Infinity, timer: undefined, finished: false };
    this.#dispatcher.close();
    if (this.#dispatcher.size === 0) this.#finish();
    else this.#cutIn(shutdown, cutAt, deadlineMs);
    return promise;
  }

  #cutIn(shutdown: Shutdown, cutAt: number, deadlineMs: number): void {
    if (shutdown.finished) return;
    shutdown.cutAt = cutAt;
    shutdown.timer?.cancel();
    if (deadlineMs === 0) this.#cut();
    else shutdown.timer = this.#clock.setTimer(() => this.#cut(), deadlineMs);
  }

  /** The shutdown's deadline has come. */
  #cut(): void {
    this.#dispatcher.cut();
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
