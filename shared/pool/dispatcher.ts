/**
 * Who gets a resource, when, and who waits.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { type AcquireOptions, refusalOf } from "./acquire_options.ts";
import type { PoolConfig } from "./config.ts";
import {
  CreateFailedError,
  LeaseRevokedError,
  messageOf,
  PoolClosedError,
  QueueFullError,
  withoutStack,
} from "./errors.ts";
import type { EventHub, PoolEvents } from "./events.ts";
import { Inventory, type InventoryOwner, TICK_MS } from "./inventory.ts";
import type { Lane } from "./lane.ts";
import { infoOf, LeakWatch } from "./leak_watch.ts";
import { type Lease, leaseAccess, LeaseRecord } from "./lease.ts";
import { Ledger, type PoolLimits } from "./limits.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { LEASED, READY, type Slot } from "./slot.ts";
import { type PoolStats, snapshot } from "./stats.ts";
import { ProbeSlot } from "./probe_slot.ts";
import { Sweeper } from "./sweeper.ts";
import type { Waiter } from "./waiter.ts";
import { WaitingRoom } from "./waiting_room.ts";

/** Brings those who ask and what there is together. */
export class Dispatcher<T extends object> implements InventoryOwner<T> {
  readonly #config: Readonly<PoolConfig>;
  readonly #clock: Clock;
  readonly #events: EventHub<PoolEvents>;
  readonly #inventory: Inventory<T>;
  readonly #waiters: WaitingRoom<T>;
  readonly #sweeper: Sweeper;
  readonly #leaks: LeakWatch<T>;
  readonly #ledger: Ledger;
  readonly #probe: ProbeSlot<T>;
  readonly #onEmpty: () => void;
  readonly #stacks: boolean;
  /** The latest reading of the clock. A reading costs about as much as all the rest of a lease. */
  #now: number;
  #totalAcquired = 0;
  #pumping = false;
  #pumpAgain = false;
  #closed = false;

  /**
   * Begins to make `minConnections` resources.
   *
   * @param onEmpty Called once it was closed and nothing is left.
   */
  constructor(
    factory: ResourceFactory<T>,
    config: Readonly<PoolConfig>,
    clock: Clock,
    random: () => number,
    events: EventHub<PoolEvents>,
    onEmpty: () => void,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#events = events;
    this.#onEmpty = onEmpty;
    this.#stacks = config.captureLeaseStacks;
    this.#now = clock.now();
    const { maxConnections, minConnections, reservedConnections } = config;
    this.#ledger = new Ledger({ maxConnections, minConnections, reservedConnections });
    this.#leaks = new LeakWatch(events, config.leakThresholdMs);
    this.#waiters = new WaitingRoom(clock, config, this.#ledger, {
      describe: (now) => this.#describe(now),
      lastFailure: () => this.#inventory.lastFailure,
      timedOut: (waitedMs, lane) => {
        if (events.has("timedOut")) events.emit("timedOut", { waitedMs, lane });
      },
    });
    this.#inventory = new Inventory(factory, config, this.#ledger, clock, random, events, this);
    this.#probe = new ProbeSlot(factory, config, clock, events, this.#inventory.hooks, () => this.#checkEmpty());
    const sweepMs = Math.min(config.idleTimeoutMs, config.leakThresholdMs);
    this.#sweeper = new Sweeper(clock, sweepMs, (now) => this.#sweep(now));
    this.#inventory.refill(this.#now);
  }

  /** Slots taken, the probe slot included. */
  get size(): number {
    return this.#inventory.size + this.#probe.size;
  }

  /** How many resources were given up because their `destroy` hung. */
  get abandoned(): number {
    return this.#inventory.abandoned;
  }

  /** How many resources there may be, and for whom. */
  get limits(): PoolLimits {
    return this.#ledger.limits;
  }

  /** Changes how many resources there may be. */
  resize(limits: PoolLimits): void {
    const before = this.#ledger.limits;
    this.#ledger.limits = limits;
    // Told before hooks run that may change them again.
    if (this.#events.has("resized")) this.#events.emit("resized", { limits, before });
    this.#inventory.shrink();
    // Those above a lower floor may have been idle for long enough already.
    this.#sweeper.watch(this.#now, this.#inventory.sweep(this.#clock.now()));
    this.changed();
  }

  /** How the pool stands. */
  stats(): PoolStats {
    const inventory = this.#inventory;
    return snapshot({
      totalConnections: inventory.size,
      activeConnections: this.#ledger.lent,
      idleConnections: inventory.idle,
      waitingForConnection: this.#waiters.size,
      totalAcquired: this.#totalAcquired,
      totalReleased: this.#totalAcquired - this.#ledger.lent,
      totalCreated: inventory.created,
      totalDestroyed: inventory.destroyed,
      creatingConnections: inventory.creating,
      closingConnections: inventory.closing,
      totalAbandoned: inventory.abandoned,
      totalTimeouts: this.#waiters.timeouts,
      maxConnections: this.#ledger.limits.maxConnections,
    });
  }

  /** Lends a resource, when there is one. */
  lease(options?: AcquireOptions): Promise<Lease<T>> {
    const now = this.#now = this.#clock.now();
    const lane = options?.lane ?? "normal";
    if (options !== undefined) {
      const refusal = refusalOf(options);
      if (refusal) return Promise.reject(refusal);
    }
    if (lane === "probe") return this.#probe.lease(options ?? {});
    const lease = this.#lendFree(lane, now);
    return lease ? Promise.resolve(lease) : this.#wait(options, lane, now);
  }

  /** Lends a resource, if one is free. */
  tryLease(lane: Lane): Lease<T> | undefined {
    return this.#lendFree(lane, this.#now = this.#clock.now());
  }

  giveBack(lease: LeaseRecord<T>, slot: Slot<T>, destroy: boolean): void {
    slot.lease = undefined;
    this.#ledger.add(leaseAccess.laneOf(lease) === "admin", -1);
    const waited = this.#waiters.size > 0;
    const told = this.#events.active;
    // Where it is only kept, it is judged by a new reading before it is lent.
    const timed = waited || told || this.#inventory.exact;
    const now = timed ? this.#now = this.#clock.now() : this.#now;
    if (told) this.#leaks.released(lease, slot.id, now);
    if (!this.#inventory.takeBack(slot, destroy, now, timed)) {
      // It serves nobody now, but its place may be filled, and its room in the account let another one be lent.
      this.changed();
    } else if (waited) {
      slot.state = READY;
      this.offer(slot, now);
    } else {
      this.#inventory.keep(slot);
      this.#sweeper.watch(now, slot.expiresAt);
    }
    if (timed) this.#sweeper.poll(now);
    if (told) this.#events.recorders.used(now - leaseAccess.acquiredAtOf(lease));
  }

  /** Lends a resource that is fit to the one who is next, or keeps it. The promise resolves after the slot is taken. */
  offer(slot: Slot<T>, now: number): void {
    const waiter = this.#waiters.next(now);
    if (waiter) {
      waiter.resolve(this.#lend(slot, waiter.line.lane, now, now - waiter.since, waiter.rare?.stack));
      return;
    }
    this.#inventory.park(slot);
    this.#sweeper.watch(now, slot.expiresAt);
  }

  /** Serves those who wait from what is free, and has made what they lack. */
  changed(): void {
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
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#closed && this.size === 0) this.#onEmpty();
  }

  /** A creation failed for good. Those whom nothing else could serve learn at once why. */
  refused(error: unknown): void {
    const { live, pending } = this.#inventory;
    const hopeless = live.size === 0 && pending === 0;
    if (hopeless) this.#waiters.dismissAll(() => new CreateFailedError(error));
    else this.#waiters.dismissNext(new CreateFailedError(error));
    // What else is being made may serve so many; nobody is left to serve the others.
    while (live.size === 0 && this.#waiters.size > pending && this.#waiters.demand > 0) {
      this.#waiters.dismissNext(new CreateFailedError(error));
    }
    this.changed();
  }

  /** Lends nothing any more, refuses those who wait, and closes what is free. */
  close(): void {
    this.#closed = true;
    this.#waiters.stop();
    this.#sweeper.stop();
    this.#waiters.dismissAll(() => withoutStack(() => new PoolClosedError()));
    this.#inventory.shutdown();
    this.#probe.close();
  }

  /** After {@linkcode close}: takes back what is lent, and waits for no hook any longer. */
  cut(): void {
    const now = this.#clock.now();
    for (const slot of [...this.#inventory.live]) {
      const { lease } = slot;
      if (!lease) continue;
      const thrown = leaseAccess.revoke(lease, new LeaseRevokedError());
      if (thrown) this.#events.emit("error", { error: thrown.error, source: "listener" });
      slot.lease = undefined;
      this.#ledger.add(leaseAccess.laneOf(lease) === "admin", -1);
      if (this.#events.active) this.#leaks.released(lease, slot.id, now);
      this.#inventory.takeBack(slot, false, now, true);
      if (this.#events.active) this.#events.recorders.used(now - leaseAccess.acquiredAtOf(lease));
    }
    this.#probe.revoke();
    this.#inventory.giveUp();
  }

  /** Where the pool's caller stands, if leases are to remember it. */
  #whereFrom(): string | undefined {
    return this.#stacks ? new Error("acquired here").stack : undefined;
  }

  #lendFree(lane: Lane, now: number): Lease<T> | undefined {
    this.#sweeper.poll(now);
    if (!this.#mayLend(lane)) return undefined;
    const fresh = this.#inventory.takeFresh(now);
    if (fresh) return this.#lend(fresh, lane, now, 0, this.#whereFrom());
    const slot = this.#inventory.take(now);
    if (!slot) return undefined;
    // Closing those that were too old may have called a hook that used the pool.
    if (this.#mayLend(lane)) return this.#lend(slot, lane, now, 0, this.#whereFrom());
    this.offer(slot, now);
    return undefined;
  }

  /** Whoever waits comes first, unless it is for want of what another lane still has. */
  #mayLend(lane: Lane): boolean {
    if (this.#closed || this.#ledger.room(lane === "admin") <= 0) return false;
    return this.#waiters.size === 0 || this.#waiters.demand === 0;
  }

  #lend(slot: Slot<T>, lane: Lane, now: number, waitedMs: number, stack: string | undefined): Lease<T> {
    const lease = new LeaseRecord(slot, lane, now, ++this.#totalAcquired, stack);
    slot.lease = lease;
    slot.state = LEASED;
    slot.uses++;
    this.#ledger.add(lane === "admin", 1);
    this.#sweeper.watch(now, now + TICK_MS);
    if (this.#events.active) this.#tellAcquired(lease, slot.id, waitedMs);
    return lease;
  }

  #tellAcquired(lease: LeaseRecord<T>, resourceId: number, waitedMs: number): void {
    if (this.#events.has("acquired")) this.#events.emit("acquired", { ...infoOf(lease, resourceId), waitedMs });
    this.#events.recorders.waited(waitedMs);
  }

  #wait(options: AcquireOptions | undefined, lane: Lane, now: number): Promise<Lease<T>> {
    if (this.#closed) return Promise.reject(new PoolClosedError());
    const { signal, timeoutMs } = options ?? {};
    const stack = this.#whereFrom();
    const rare = signal || stack ? { signal, stack } : undefined;
    const waiter = this.#waiters.waiter(lane, now, timeoutMs, rare);
    const promise = waiter.promise();
    this.#enter(waiter, timeoutMs, now);
    return promise;
  }

  #enter(waiter: Waiter<T>, timeoutMs: number | undefined, now: number): void {
    this.#waiters.enter(waiter);
    const { lane, admin } = waiter.line;
    // Where its lane has no room, nothing that could be made would serve it.
    if (this.#ledger.room(admin) > 0) this.changed();
    if (!waiter.waiting) return;
    if (timeoutMs === 0) return this.#waiters.expire(waiter, now);
    const most = this.#config.maxWaiters;
    const tooMany = () => this.#waiters.size > most && this.#waiters.size - this.#inventory.pending > most;
    if (tooMany()) this.#waiters.expireOverdue(now);
    if (tooMany()) {
      const message = `Too many requests wait (maxWaiters: ${most}): ${this.#describe(now)}`;
      return this.#waiters.dismiss(waiter, new QueueFullError(message));
    }
    this.#waiters.keep(waiter, now);
    if (this.#events.has("waited")) this.#events.emit("waited", { waiting: this.#waiters.size, lane });
  }

  #pump(now: number): void {
    while (this.#waiters.demand > 0) {
      const slot = this.#inventory.take(now);
      if (!slot) break;
      this.offer(slot, now);
    }
    if (this.#waiters.size > 0) this.#inventory.supply(() => this.#waiters.demand, now);
    this.#inventory.refill(now);
  }

  #describe(now: number): string {
    const { size, idle, creating, lastFailure } = this.#inventory;
    let longest = 0;
    for (const { lease } of this.#inventory.live) {
      if (lease) longest = Math.max(longest, now - leaseAccess.acquiredAtOf(lease));
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
}
