/**
 * Matches acquires with resources: leases, queues and hands off.
 *
 * @module
 */
import { type Clock, messageOf } from "../resilience/mod.ts";
import { type AcquireOptions, copyOfFlow, invalidAcquire } from "./acquire_options.ts";
import { Capacity, type PoolLimits, type PoolLoad } from "./capacity.ts";
import type { PoolConfig } from "./config.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import { LeaseRevokedError, PoolClosedError, QueueFullError, withoutStack } from "./errors.ts";
import { CreateFailedError } from "./resource_errors.ts";
import type { PoolEventHub } from "./events.ts";
import type { Flow } from "./fair_queue.ts";
import type { AcquireLane, Lane } from "./lane.ts";
import { LeakDetector, leaseInfo } from "./leak_detector.ts";
import { type Lease, leaseAccess, LeaseRecord, type LeaseShare } from "./lease.ts";
import type { PoolContext, PoolHost, PoolParts } from "./pool_host.ts";
import { ProbeSlot } from "./probe_slot.ts";
import { ResourceHooks } from "./resource_hooks.ts";
import { ResourceStore, TICK_MS } from "./resource_store.ts";
import type { Slot } from "./slot.ts";
import type { PoolStats } from "./stats.ts";
import { Sweeper } from "./sweeper.ts";
import { WaitQueue } from "./wait_queue.ts";

/** The core of a pool. */
export class Dispatcher<T extends object> implements PoolHost<T> {
  readonly #config: Readonly<PoolConfig>;
  readonly #clock: Clock;
  readonly #events: PoolEventHub;
  readonly #capacity: Capacity;
  readonly #store: ResourceStore<T>;
  readonly #queue: WaitQueue<T>;
  readonly #probe: ProbeSlot<T>;
  readonly #sweeper: Sweeper;
  readonly #leaks: LeakDetector;
  readonly #onEmpty: () => void;
  /** True if flows share the lanes. */
  readonly #isFair: boolean;
  /** The latest reading of the clock. A reading costs about as much as all the rest of a lease. */
  #now: number;
  /** False if each lane counts as `normal`. */
  readonly #hasLanes: boolean;
  #totalAcquired = 0;
  #totalMemoryLow = 0;
  /** Hooks and listeners run while waiters are served, and may call back: then the loop that serves goes on for them. */
  #serving = false;
  #scheduled = false;
  #closed = false;

  /**
   * Begins to create `minConnections` resources.
   *
   * @param onEmpty Called once the pool is closed and no slot is held.
   */
  constructor(parts: PoolParts<T>, onEmpty: () => void) {
    const { config, clock, events } = parts;
    const { maxConnections, minConnections, reservedConnections } = config;
    this.#config = config;
    this.#hasLanes = config.priorities;
    this.#clock = clock;
    this.#events = events;
    this.#onEmpty = onEmpty;
    this.#isFair = config.fairShare;
    this.#now = clock.now();
    this.#capacity = new Capacity(this.#withoutReserve({ maxConnections, minConnections, reservedConnections }));
    const context: PoolContext<T> = { ...parts, capacity: this.#capacity, hooks: new ResourceHooks(parts) };
    this.#leaks = new LeakDetector(events, config.leakThresholdMs);
    this.#queue = new WaitQueue(context, this);
    this.#store = new ResourceStore(context, this);
    this.#probe = new ProbeSlot(context, () => this.#checkEmpty());
    const sweepMs = Math.min(config.idleTimeoutMs, config.leakThresholdMs);
    this.#sweeper = new Sweeper(clock, sweepMs, (now) => this.#sweep(now));
    this.#store.refill(this.#now);
  }

  /** The number of slots held, the probe slot included. */
  get size(): number {
    return this.#store.size + this.#probe.size;
  }

  /** The number of resources abandoned because their `destroy` hung. */
  get abandoned(): number {
    return this.#store.abandoned;
  }

  /** The limits in force. */
  get limits(): PoolLimits {
    return this.#capacity.limits;
  }

  get lastCreationFailure(): CreationFailure | undefined {
    return this.#store.lastCreationFailure;
  }

  /** Changes the limits. */
  resize(wanted: PoolLimits): void {
    const limits = this.#withoutReserve(wanted);
    const before = this.#capacity.limits;
    this.#capacity.resize(limits);
    // Emitted before hooks run that may change them again.
    if (this.#events.has("resized")) this.#events.emit("resized", { limits, before });
    this.#store.shrink();
    // Those above a lower floor may have been idle for long enough already.
    this.#watch(this.#now, this.#store.sweep(this.#clock.now()));
    this.schedule();
  }

  /** Halves the limit while memory is low, and closes idle resources above the floor. */
  setMemoryLow(isLow: boolean): void {
    if (this.#closed) return;
    const changes = isLow !== this.#capacity.isHalved;
    this.#capacity.halve(isLow);
    if (changes) {
      if (isLow) this.#totalMemoryLow++;
      this.#events.emit(isLow ? "memoryLow" : "memoryRecovered", { leased: this.#capacity.leased });
    }
    if (isLow) this.#store.trim();
    this.schedule();
  }

  /** Lowers or raises the limit that follows load; see {@linkcode Capacity.adapt}. */
  adapt(limit: number): void {
    const before = this.#capacity.limit;
    this.#capacity.adapt(limit);
    const after = this.#capacity.limit;
    if (after === before) return;
    this.#events.emit("limitChanged", { limit: after, before, applied: true });
    if (after > before && this.#queue.size > 0) this.schedule();
  }

  /** Returns what a limit that follows load is judged by. */
  load(): PoolLoad {
    const { leased, limit } = this.#capacity.shared;
    return { leased, hasWaiters: leased >= limit && this.#queue.size > 0 };
  }

  /** Returns the current statistics. */
  stats(): PoolStats {
    const store = this.#store;
    return Object.freeze({
      totalConnections: store.size,
      activeConnections: this.#capacity.leased,
      idleConnections: store.idle,
      waitingForConnection: this.#queue.size,
      totalAcquired: this.#totalAcquired,
      totalReleased: this.#totalAcquired - this.#capacity.leased,
      totalCreated: store.created,
      totalDestroyed: store.destroyed,
      creatingConnections: store.creating,
      closingConnections: store.closing,
      totalAbandoned: store.abandoned,
      totalTimeouts: this.#queue.timeouts,
      maxConnections: this.#capacity.limits.maxConnections,
      limit: this.#capacity.limit,
      ...this.#totalMemoryLow > 0 ? { totalMemoryLow: this.#totalMemoryLow } : undefined,
      ...this.#isFair ? { waitingFlows: this.#queue.waitingFlows } : undefined,
    });
  }

  /** Leases a resource, or waits for one. */
  lease(options?: AcquireOptions): Promise<Lease<T>> {
    const now = this.#now = this.#clock.now();
    if (options === undefined) {
      const lease = this.#leaseIdle("normal", now, undefined);
      return lease ? Promise.resolve(lease) : this.#wait("normal", now, undefined, undefined, undefined);
    }
    const invalid = typeof options !== "object" || options === null;
    // Each is read once: an option that is a getter may have another value next time.
    const { lane: asked = "normal", timeoutMs, signal, flow: given }: AcquireOptions = invalid ? {} : options;
    const flow = (given === undefined ? given : copyOfFlow(given)) as Flow | undefined;
    const error = invalidAcquire(invalid, asked, timeoutMs, signal, flow);
    if (error) return Promise.reject(error);
    if (asked === "probe") return this.#probe.lease(timeoutMs, signal);
    const lane = this.#hasLanes ? asked : "normal";
    const lease = this.#leaseIdle(lane, now, flow);
    return lease ? Promise.resolve(lease) : this.#wait(lane, now, timeoutMs, signal, flow);
  }

  /** Leases an idle resource, if there is one. */
  tryLease(lane: Lane, flow: Flow | undefined): Lease<T> | undefined {
    return this.#leaseIdle(this.#hasLanes ? lane : "normal", this.#now = this.#clock.now(), flow);
  }

  release(lease: LeaseRecord<T>, slot: Slot<T>, lane: Lane, destroy: boolean): void {
    slot.unassign();
    this.#capacity.release(lane);
    if (this.#isFair) leaseAccess.shareOf(lease)?.release();
    const observed = this.#events.observesLeases;
    const exact = observed || this.#queue.size > 0 || this.#store.needsExactReleaseTime;
    // A resource that is only parked is judged by a new reading before it is leased again.
    const now = exact ? this.#now = this.#clock.now() : this.#now;
    slot.usedAt = now;
    slot.usedAtIsEstimate = !exact;
    if (observed) this.#leaks.released(lease, slot.id, now);
    if (!this.#store.checkIn(slot, now, destroy ? "broken" : undefined)) {
      // It serves no waiter now. But its slot may get another resource, and the lane has room for another lease.
      this.schedule();
    } else if (this.#queue.size > 0) {
      this.handOff(slot, this.#now);
    } else {
      this.#store.park(slot);
      this.#watch(now, slot.expiresAt);
    }
    if (exact && now >= this.#sweeper.dueAt) this.#sweeper.run(now);
    if (observed) this.#events.recordUse(now - leaseAccess.acquiredAtOf(lease));
  }

  handOff(slot: Slot<T>, now: number): void {
    const waiter = this.#queue.next(now);
    if (waiter) {
      // The slot is leased before the waiter's promise resolves: no newcomer gets in between.
      const { queue, since, extras } = waiter;
      waiter.resolve(this.#grant(slot, queue.lane, now, now - since, extras?.stack, extras?.ticket?.flow));
      return;
    }
    this.#store.parkOrShrink(slot);
    this.#watch(now, slot.expiresAt);
  }

  schedule(): void {
    this.#scheduled = true;
    if (this.#serving) return;
    this.#serving = true;
    try {
      while (this.#scheduled) {
        this.#scheduled = false;
        this.#serveWaiters(this.#now = this.#clock.now());
      }
    } finally {
      this.#serving = false;
    }
    this.#checkEmpty();
  }

  onPermanentFailure(error: unknown): void {
    const { live, pending } = this.#store;
    if (live.size === 0 && pending === 0) this.#queue.rejectAll(() => new CreateFailedError(error));
    else this.#queue.rejectNext(new CreateFailedError(error));
    this.#rejectHopeless(() => new CreateFailedError(error));
    this.schedule();
  }

  onLastingFailure(error: unknown): void {
    this.#rejectHopeless(() => error);
  }

  /** Leases nothing any more, rejects waiters, and closes idle resources. */
  close(): void {
    this.#closed = true;
    this.#queue.stop();
    this.#sweeper.stop();
    this.#queue.rejectAll(() => withoutStack(() => new PoolClosedError()));
    // Before idle resources close: their hooks may request a probe.
    this.#probe.close();
    this.#store.shutdown();
  }

  /** After {@linkcode close}: revokes the leases, and waits for no hook any longer. */
  revokeAll(): void {
    const now = this.#clock.now();
    for (const slot of [...this.#store.live]) {
      const { lease } = slot;
      if (!lease) continue;
      const thrown = leaseAccess.revoke(lease, new LeaseRevokedError());
      if (thrown) this.#events.emit("error", { error: thrown.error, source: "listener" });
      slot.unassign();
      slot.usedAt = now;
      this.#capacity.release(laneOf(lease));
      if (this.#isFair) leaseAccess.shareOf(lease)?.release();
      if (this.#events.observesLeases) this.#leaks.released(lease, slot.id, now);
      this.#store.checkIn(slot, now, undefined);
      if (this.#events.observesLeases) this.#events.recordUse(now - leaseAccess.acquiredAtOf(lease));
    }
    this.#probe.revoke();
    this.#store.abandonHooks();
  }

  describe(now: number): string {
    const { size, idle, creating, lastCreationFailure } = this.#store;
    let longest = 0;
    for (const { lease } of this.#store.live) {
      if (lease) longest = Math.max(longest, now - leaseAccess.acquiredAtOf(lease));
    }
    return `total ${size}, active ${this.#capacity.leased}, idle ${idle}, creating ${creating}, waiting ${this.#queue.size}, ` +
      `limit ${this.#capacity.limit}; longest holder ${Math.round(longest)} ms` +
      (lastCreationFailure ? `; last creation error: ${messageOf(lastCreationFailure.error)}` : "");
  }

  /** Without a resource, rejects the waiters that the creations under way cannot serve either. */
  #rejectHopeless(createError: () => unknown): void {
    const { live, pending } = this.#store;
    while (live.size === 0 && this.#queue.size > pending && this.#queue.demand > 0) {
      this.#queue.rejectNext(createError());
    }
  }

  #checkEmpty(): void {
    if (this.#closed && this.size === 0) this.#onEmpty();
  }

  /** Returns `limits`, without reserved connections if lanes have no meaning. */
  #withoutReserve(limits: PoolLimits): PoolLimits {
    return this.#hasLanes ? limits : { ...limits, reservedConnections: 0 };
  }

  /** Returns the stack of the pool's caller, if leases are to keep it. */
  #callerStack(): string | undefined {
    return this.#config.captureLeaseStacks ? new Error("acquired here").stack : undefined;
  }

  #leaseIdle(lane: Lane, now: number, flow: Flow | undefined): LeaseRecord<T> | undefined {
    if (now >= this.#sweeper.dueAt) this.#sweeper.run(now);
    if (!this.#mayLease(lane)) return undefined;
    const usable = this.#store.checkOut(now);
    if (usable && this.#isFair) return this.#grantShare(usable, lane, now, flow);
    if (usable) return this.#grant(usable, lane, now, 0, this.#callerStack());
    if (this.#store.idle === 0) return undefined;
    const slot = this.#store.checkOutUnexpired(now);
    if (!slot) return undefined;
    // The close of expired ones may have called a hook that used the pool.
    if (this.#mayLease(lane)) return this.#grantShare(slot, lane, now, flow);
    this.handOff(slot, now);
    return undefined;
  }

  /** Returns false while a waiter that could be served is queued, and when the lane has no room. */
  #mayLease(lane: Lane): boolean {
    if (this.#closed || this.#capacity.room(lane) <= 0) return false;
    return this.#queue.size === 0 || this.#queue.demand === 0;
  }

  #grantShare(slot: Slot<T>, lane: Lane, now: number, flow: Flow | undefined): LeaseRecord<T> {
    const share = this.#isFair ? this.#queue.hold(lane, flow) : undefined;
    return this.#grant(slot, lane, now, 0, this.#callerStack(), share);
  }

  #grant(
    slot: Slot<T>,
    lane: Lane,
    now: number,
    waitedMs: number,
    stack: string | undefined,
    share?: LeaseShare,
  ): LeaseRecord<T> {
    const lease = new LeaseRecord(slot, lane, now, ++this.#totalAcquired, stack);
    if (share) leaseAccess.setShare(lease, share);
    slot.assign(lease);
    this.#capacity.lease(lane);
    this.#watch(now, now + TICK_MS);
    if (this.#events.observesLeases) {
      if (this.#events.has("acquired")) this.#events.emit("acquired", { ...leaseInfo(lease, slot.id), waitedMs });
      this.#events.recordWait(waitedMs, lane);
    }
    return lease;
  }

  #wait(
    lane: Lane,
    now: number,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    flow: Flow | undefined,
  ): Promise<Lease<T>> {
    if (this.#closed) return Promise.reject(new PoolClosedError());
    const stack = this.#callerStack();
    const waiter = this.#queue.add(lane, now, timeoutMs, signal || stack ? { signal, stack } : undefined, flow);
    const promise = waiter.promise();
    // Where its lane has no room, nothing that could be created would serve it.
    if (this.#capacity.room(lane) > 0) this.schedule();
    if (!waiter.waiting) return promise;
    if (timeoutMs === 0) {
      this.#queue.expire(waiter, now);
      return promise;
    }
    if (this.#isQueueFull) this.#queue.expireOverdue(now);
    if (this.#isQueueFull) {
      const surplus = this.#queue.surplus(waiter);
      this.#queue.reject(surplus, this.#queueFull(now));
      if (surplus === waiter) return promise;
    }
    this.#queue.armDeadline(waiter, now);
    if (this.#events.has("waited")) this.#events.emit("waited", { waiting: this.#queue.size, lane });
    return promise;
  }

  #queueFull(now: number): QueueFullError {
    const fair = this.#isFair ? "; no flow has more waiters" : "";
    return new QueueFullError(
      `Wait queue is full (maxWaiters: ${this.#config.maxWaiters}${fair}): ${this.describe(now)}`,
    );
  }

  /** True when more than `maxWaiters` wait, those not counted that what is on its way will serve. */
  get #isQueueFull(): boolean {
    const { maxWaiters } = this.#config;
    return this.#queue.size > maxWaiters && this.#queue.size - this.#store.pending > maxWaiters;
  }

  /** Has what falls due at `due` swept then. */
  #watch(now: number, due: number): void {
    if (due < this.#sweeper.dueAt) this.#sweeper.schedule(now, due);
  }

  /** Serves waiters from idle resources and begins to create the rest. */
  #serveWaiters(now: number): void {
    while (this.#store.idle > 0 && this.#queue.demand > 0) {
      const slot = this.#store.checkOutUnexpired(now);
      if (!slot) break;
      this.handOff(slot, now);
    }
    if (this.#queue.size > 0) this.#store.ensureSupply(this.#queue, now);
    this.#store.refill(now);
  }

  /** Reports leaks, closes what has expired or is surplus, and returns when the next sweep is due. */
  #sweep(now: number): number | undefined {
    this.#now = now;
    const tick = this.#capacity.leased > 0 ? now + TICK_MS : Infinity;
    const next = Math.min(tick, this.#leaks.check(this.#store.live, now), this.#store.sweep(now));
    this.#store.refill(now);
    return this.#store.live.size > 0 ? next : undefined;
  }
}

/** Returns the lane of a lease that is not a probe. */
function laneOf(lease: LeaseRecord<object>): Exclude<AcquireLane, "probe"> {
  return leaseAccess.laneOf(lease) as Lane;
}
