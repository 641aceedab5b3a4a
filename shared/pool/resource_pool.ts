/**
 * A pool of anything that is dear to make and can be lent to one holder at a
 * time.
 *
 * What belongs here: who gets a resource, when, and who waits. How a resource
 * is made, checked and closed is the {@linkcode Inventory}'s business; what it
 * is, the {@linkcode ResourceFactory}'s.
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "../resilience/mod.ts";
import { type AcquireOptions, BAD_LANE, badMs, isMs, refusalOf } from "./acquire_options.ts";
import { parseLimits, parsePoolConfig, type PoolConfig } from "./config.ts";
import {
  ConfigError,
  CreateFailedError,
  ForeignReleaseError,
  LeaseRevokedError,
  messageOf,
  PoolClosedError,
  QueueFullError,
  withoutStack,
} from "./errors.ts";
import { EventHub, type PoolEvents } from "./events.ts";
import { Inventory } from "./inventory.ts";
import { isLane, type Lane } from "./lane.ts";
import { LeakWatch } from "./leak_watch.ts";
import { Lease, type LeaseOwner, type ReleaseOptions } from "./lease.ts";
import { Ledger, type PoolLimits } from "./limits.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { Slot } from "./slot.ts";
import { type PoolStats, snapshot } from "./stats.ts";
import { Sweeper } from "./sweeper.ts";
import { Waiter } from "./waiter.ts";
import { WaitingRoom } from "./waiting_room.ts";

/** While something is lent, the pool looks at the clock at least so often, in ms. */
const TICK_MS = 1_000;

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
  /** The options it was made with; `setLimits` may have changed the size since. */
  readonly config: Readonly<PoolConfig>;

  readonly #clock: Clock;
  readonly #events = new EventHub<PoolEvents<T>>();
  readonly #inventory: Inventory<T>;
  readonly #owner: LeaseOwner<T>;
  readonly #waiters: WaitingRoom<T>;
  /** Resources lent by `acquire`, which are given back by themselves. */
  readonly #acquired = new WeakMap<T, Lease<T>>();
  readonly #sweeper: Sweeper;
  readonly #leaks: LeakWatch<T>;

  readonly #ledger: Ledger;
  /** The latest reading of the clock. A reading costs about as much as all the rest of a lease. */
  #now: number;
  #totalAcquired = 0;
  #totalReleased = 0;
  #pumping = false;
  #pumpAgain = false;
  #shutdown: Shutdown | undefined = undefined;

  /**
   * Begins to make `minConnections` resources.
   *
   * @throws {ConfigError} listing every bad option.
   */
  constructor(factory: ResourceFactory<T>, config: Partial<PoolConfig> = {}, runtime: PoolRuntime = {}) {
    this.config = parsePoolConfig(config);
    this.#clock = runtime.clock ?? systemClock;
    this.#now = this.#clock.now();
    this.#leaks = new LeakWatch(this.#events, this.config.leakThresholdMs);
    this.#owner = { giveBack: (lease, slot, destroy) => this.#giveBack(lease, slot, destroy) };
    const { maxConnections, minConnections, reservedConnections } = this.config;
    this.#ledger = new Ledger({ maxConnections, minConnections, reservedConnections });
    this.#waiters = new WaitingRoom(this.#clock, this.config.agingMs, this.#ledger, {
      describe: (now) => this.#describe(now),
      lastFailure: () => this.#inventory.lastFailure,
      timedOut: (waitedMs, lane) => {
        if (this.#events.has("timedOut")) this.#events.emit("timedOut", { waitedMs, lane });
      },
    });
    const random = runtime.random ?? Math.random;
    this.#inventory = new Inventory(factory, this.config, this.#ledger, this.#clock, random, this.#events, {
      offer: (slot, now) => this.#offer(slot, now),
      changed: () => this.#changed(),
      refused: (error) => this.#refused(error),
    });
    const sweepMs = Math.min(this.config.idleTimeoutMs, this.config.leakThresholdMs);
    this.#sweeper = new Sweeper(this.#clock, sweepMs, (now) => this.#sweep(now));
    this.#inventory.refill(this.#now);
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
    const now = this.#now = this.#clock.now();
    const lane = options?.lane ?? "normal";
    if (options !== undefined) {
      const refusal = refusalOf(options, lane);
      if (refusal) return Promise.reject(refusal);
    }
    const lease = this.#lendFree(lane, now);
    return lease ? Promise.resolve(lease) : this.#wait(options, lane, now);
  }

  /**
   * Lends a resource if one is free now, and `undefined` otherwise. Never waits, makes or validates one.
   *
   * @throws {ConfigError} when `lane` names none.
   */
  tryLease(lane: Lane = "normal"): Lease<T> | undefined {
    if (lane !== "normal" && !isLane(lane)) throw new ConfigError([BAD_LANE], "acquire options");
    return this.#lendFree(lane, this.#now = this.#clock.now());
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
    const inventory = this.#inventory;
    return snapshot({
      totalConnections: inventory.size,
      activeConnections: this.#ledger.lent,
      idleConnections: inventory.idle,
      waitingForConnection: this.#waiters.size,
      totalAcquired: this.#totalAcquired,
      totalReleased: this.#totalReleased,
      totalCreated: inventory.created,
      totalDestroyed: inventory.destroyed,
      creatingConnections: inventory.creating,
      closingConnections: inventory.closing,
      totalAbandoned: inventory.abandoned,
      totalTimeouts: this.#waiters.timeouts,
      maxConnections: this.#ledger.limits.maxConnections,
    });
  }

  /** How many resources there may be, and for whom. */
  get limits(): PoolLimits {
    return this.#ledger.limits;
  }

  /**
   * Changes how many resources there may be. What is free beyond the new limit
   * is closed at once, what is lent when it comes back; those who wait are served
   * from what was added. A floor that is not given follows a lower limit.
   *
   * @throws {ConfigError} listing every bad value; nothing is changed then.
   */
  setLimits(limits: Partial<PoolLimits>): void {
    const before = this.#ledger.limits;
    this.#ledger.limits = parseLimits(limits, before);
    this.#inventory.shrink();
    if (this.#events.has("resized")) this.#events.emit("resized", { limits: this.#ledger.limits, before });
    this.#changed();
  }

  /**
   * Calls `listener` at each event of that name until the subscription is
   * disposed of. What a listener throws is reported as an `error` event.
   */
  on<K extends keyof PoolEvents<T>>(name: K, listener: (event: PoolEvents<T>[K]) => void): Disposable {
    return this.#events.on(name, listener);
  }

  /**
   * Lends nothing any more, refuses those who wait, lets holders finish until
   * the deadline and then takes back what they hold. All that can be done
   * without waiting is done before this returns, as `beforeunload` needs it.
   * Every further call returns the first one's promise.
   *
   * @param deadlineMs Default: the pool's `shutdownTimeoutMs`.
   * @throws {ConfigError} when `deadlineMs` is not a number of ms; nothing is done then.
   */
  shutdown(deadlineMs: number = this.config.shutdownTimeoutMs): Promise<void> {
    if (this.#shutdown) return this.#shutdown.promise;
    if (!isMs(deadlineMs)) return Promise.reject(new ConfigError([badMs("deadlineMs", deadlineMs)], "shutdown"));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#shutdown = { promise, resolve, timer: undefined, finished: false };
    this.#waiters.stop();
    this.#sweeper.stop();
    this.#waiters.dismissAll(() => withoutStack(() => new PoolClosedError()));
    this.#inventory.shutdown();
    if (this.#inventory.size === 0) this.#finish();
    else if (deadlineMs <= 0) this.#cut();
    else this.#shutdown.timer = this.#clock.setTimer(() => this.#cut(), deadlineMs);
    return promise;
  }

  /** Where the pool's caller stands, if leases are to remember it. */
  #whereFrom(): string | undefined {
    return this.config.captureLeaseStacks ? new Error("acquired here").stack : undefined;
  }

  #lendFree(lane: Lane, now: number): Lease<T> | undefined {
    this.#sweeper.poll(now);
    if (!this.#mayLend(lane)) return undefined;
    const slot = this.#inventory.take(now);
    if (!slot) return undefined;
    // Closing those that were too old may have called a hook that used the pool.
    if (this.#mayLend(lane) && !slot.invalid) return this.#lend(slot, lane, now, 0, this.#whereFrom());
    this.#offer(slot, now);
    return undefined;
  }

  /** Whoever waits comes first, unless it is for want of what another lane still has. */
  #mayLend(lane: Lane): boolean {
    if (this.#shutdown || this.#ledger.room(lane === "admin") <= 0) return false;
    return this.#waiters.size === 0 || this.#waiters.demand === 0;
  }

  #lend(slot: Slot<T>, lane: Lane, now: number, waitedMs: number, stack: string | undefined): Lease<T> {
    const lease = new Lease(this.#owner, slot, lane, now, stack);
    slot.state = lease;
    slot.uses++;
    this.#ledger.add(lane === "admin", 1);
    this.#totalAcquired++;
    this.#sweeper.watch(now, now + TICK_MS);
    if (this.#events.heard) this.#events.emit("acquired", { lease, resource: slot.resource, waitedMs });
    return lease;
  }

  #wait(options: AcquireOptions | undefined, lane: Lane, now: number): Promise<Lease<T>> {
    if (this.#shutdown) return Promise.reject(new PoolClosedError());
    const { signal, timeoutMs = this.config.acquireTimeoutMs } = options ?? {};
    // One that may not wait is served from what is free or made at once, or refused below.
    const deadline = timeoutMs === 0 ? Infinity : now + timeoutMs;
    const waiter = new Waiter<T>(lane, now, deadline, signal, this.#whereFrom());
    this.#waiters.enter(waiter);
    // Where its lane has no room, nothing that could be made would serve it.
    if (this.#ledger.room(lane === "admin") > 0) this.#changed();
    if (!waiter.waiting) return waiter.promise;
    if (timeoutMs === 0) this.#waiters.expire(waiter, now);
    else if (this.#waiters.size - this.#inventory.pending > this.config.maxWaiters) {
      const most = this.config.maxWaiters;
      this.#waiters.dismiss(
        waiter,
        new QueueFullError(`Too many requests wait (maxWaiters: ${most}): ${this.#describe(now)}`),
      );
    } else {
      this.#waiters.keep(waiter, now);
      if (this.#events.has("waited")) this.#events.emit("waited", { waiting: this.#waiters.size, lane });
    }
    return waiter.promise;
  }

  /** Lends a resource to the one who is next, or keeps it. The promise resolves after the slot is taken. */
  #offer(slot: Slot<T>, now: number): void {
    if (slot.invalid) return this.#inventory.close(slot, "invalid");
    if (this.#shutdown) return this.#inventory.close(slot, "shutdown");
    const waiter = this.#waiters.next(now);
    if (waiter) {
      waiter.resolve(this.#lend(slot, waiter.lane, now, now - waiter.since, waiter.stack));
      return;
    }
    this.#inventory.park(slot);
    this.#sweeper.watch(now, slot.expiresAt);
  }

  /** Serves those who wait from what is free, and has made what they lack. */
  #changed(): void {
    // Hooks and listeners run inside and may come back here; the outer turn goes on for them.
    this.#pumpAgain = true;
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#pumpAgain) {
        this.#pumpAgain = false;
        this.#pump(this.#now = this.#clock.now());
      }
    } finally {
      this.#pumping = false;
    }
    if (this.#shutdown && this.#inventory.size === 0) this.#finish();
  }

  #pump(now: number): void {
    while (this.#waiters.demand > 0) {
      const slot = this.#inventory.take(now);
      if (!slot) break;
      this.#offer(slot, now);
    }
    if (this.#waiters.size > 0) this.#inventory.supply(() => this.#waiters.demand, now);
    this.#inventory.refill(now);
  }

  /** A creation failed for good. Where nothing else could serve those who wait, all learn at once why. */
  #refused(error: unknown): void {
    const hopeless = this.#inventory.live.size === 0 && this.#inventory.pending === 0;
    if (hopeless) this.#waiters.dismissAll(() => new CreateFailedError(error));
    else this.#waiters.dismissNext(new CreateFailedError(error));
    this.#changed();
  }

  #giveBack(lease: Lease<T>, slot: Slot<T>, destroy: boolean): void {
    // Where it is only kept, a time too early does: it is judged by a new reading before it is lent.
    if (this.#waiters.size > 0 || this.#events.heard) this.#now = this.#clock.now();
    const now = this.#now;
    this.#ledger.add(lease.lane === "admin", -1);
    this.#totalReleased++;
    if (this.#events.heard) this.#leaks.released(lease, slot.resource, now);
    if (!this.#inventory.takeBack(slot, destroy, now)) {
      // It serves nobody now, but its place may be filled, and its room in the account let another one be lent.
      this.#changed();
    } else if (this.#waiters.size > 0) {
      this.#offer(slot, now);
    } else {
      this.#inventory.keep(slot);
      this.#sweeper.watch(now, slot.expiresAt);
    }
    this.#sweeper.poll(now);
  }

  #describe(now: number): string {
    const { size, idle, creating, lastFailure } = this.#inventory;
    let longest = 0;
    for (const { state } of this.#inventory.live) {
      if (state.kind === "lent") longest = Math.max(longest, now - state.acquiredAt);
    }
    return `total ${size}, active ${this.#ledger.lent}, idle ${idle}, creating ${creating}, waiting ${this.#waiters.size}, ` +
      `limit ${this.#ledger.limits.maxConnections}; longest holder ${Math.round(longest)} ms` +
      (lastFailure ? `; last creation error: ${messageOf(lastFailure.error)}` : "");
  }

  /** Reports leaks, closes what is too old or surplus, and says when to look again. */
  #sweep(now: number): number | undefined {
    this.#now = now;
    const tick = this.#ledger.lent > 0 ? now + TICK_MS : Infinity;
    const next = Math.min(tick, this.#leaks.look(this.#inventory.live, now), this.#inventory.sweep(now));
    this.#inventory.refill(now);
    return this.#inventory.live.size > 0 ? next : undefined;
  }

  /** The shutdown's deadline has come. */
  #cut(): void {
    const now = this.#clock.now();
    for (const slot of [...this.#inventory.live]) {
      const { state } = slot;
      if (state.kind !== "lent") continue;
      const thrown = state.revoke(new LeaseRevokedError());
      if (thrown) this.#events.emit("error", { error: thrown.error, source: "listener" });
      this.#ledger.add(state.lane === "admin", -1);
      this.#totalReleased++;
      this.#inventory.takeBack(slot, false, now);
    }
    this.#inventory.giveUp();
    this.#finish();
  }

  #finish(): void {
    const shutdown = this.#shutdown;
    if (!shutdown || shutdown.finished) return;
    shutdown.finished = true;
    shutdown.timer?.cancel();
    shutdown.resolve();
    this.#events.emit("closed", { abandoned: this.#inventory.abandoned });
  }
}
