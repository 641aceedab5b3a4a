/**
 * The resources of a pool: keeping, checking and lending them out of store.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { Closer } from "./closer.ts";
import type { PoolConfig } from "./config.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import { Creations } from "./creations.ts";
import { PoolClosedError, ResourceInvalidError } from "./errors.ts";
import type { DestroyReason, EventHub, PoolEvents } from "./events.ts";
import { HookRunner } from "./hook_run.ts";
import { leaseAccess, type LeaseOwner } from "./lease.ts";
import type { Ledger } from "./limits.ts";
import { Preparer } from "./preparer.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { CLOSING, IDLE, READY, type Slot } from "./slot.ts";

/** While something is lent, the pool looks at the clock at least so often, in ms. */
export const TICK_MS = 1_000;

/** An idle timeout below this is kept to the ms; a longer one may be over a tick too early. */
const COARSE_IDLE_MS = 10 * TICK_MS;

/** Who is told what becomes of the resources. */
export interface InventoryOwner<T extends object> extends LeaseOwner<T> {
  /** A resource is ready: it is to be lent or {@linkcode Inventory.park}ed. */
  offer(slot: Slot<T>, now: number): void;
  /** Capacity was freed, or a pause after a failed creation is over. */
  changed(): void;
  /** A creation failed in a way that trying again does not mend. */
  refused(error: unknown): void;
}

/**
 * All slots of a pool. A slot is taken from the first moment of its resource's
 * creation until `destroy` has settled, so that `size` never exceeds
 * `maxConnections`, whatever hangs.
 */
export class Inventory<T extends object> {
  readonly #factory: ResourceFactory<T>;
  readonly #config: Readonly<PoolConfig>;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #events: EventHub<PoolEvents>;
  readonly #owner: InventoryOwner<T>;

  /** Every resource that is not closing. */
  readonly live = new Set<Slot<T>>();
  /** Free ones, the least recently used first: they are lent from the end and age out from the front. */
  readonly #idle: Slot<T>[] = [];
  readonly hooks: HookRunner;
  readonly #creations: Creations<T>;
  readonly #closer: Closer<T>;
  readonly #preparer: Preparer<T>;
  #closing = 0;
  #closed = false;
  #shrunk = false;
  /** Whether what comes back may be one too many. */
  #choosy = false;

  constructor(
    factory: ResourceFactory<T>,
    config: Readonly<PoolConfig>,
    ledger: Ledger,
    clock: Clock,
    random: () => number,
    events: EventHub<PoolEvents>,
    owner: InventoryOwner<T>,
  ) {
    this.#factory = factory;
    this.#config = config;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#events = events;
    this.#owner = owner;
    this.hooks = new HookRunner(clock);
    this.#closer = new Closer(factory, this.hooks, config.destroyTimeoutMs, events);
    this.#preparer = new Preparer(factory, this.hooks, config, events, (slot, fit) => this.#prepared(slot, fit));
    this.#creations = new Creations(factory, config, clock, random, events, this.hooks, {
      leaseOwner: owner,
      made: (slot) => this.#add(slot),
      spoilt: (slot, reason) => this.close(slot, reason),
      stray: (resource, id, done) => this.#closer.close(resource, id, "late", done),
      invalidated: (slot, reason) => this.#invalidate(slot, reason),
      refused: (error) => owner.refused(error),
      changed: () => owner.changed(),
    });
  }

  /** Slots taken: resources being made, living, and being closed. */
  get size(): number {
    return this.live.size + this.#creations.size + this.#closing;
  }

  /** Whether the time at which a resource comes back matters to the ms. */
  get exact(): boolean {
    return this.#factory.validate !== undefined || this.#config.idleTimeoutMs < COARSE_IDLE_MS;
  }

  /** Resources free to be lent. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Resources being made, those whose creation is overdue included. */
  get creating(): number {
    return this.#creations.size;
  }

  /** Resources being closed. */
  get closing(): number {
    return this.#closing;
  }

  /** Resources on their way to somebody who waits: being made or validated. One that is reset may never come. */
  get pending(): number {
    return this.#creations.pending + this.#preparer.validating;
  }

  /** Resources made since the pool was. */
  get created(): number {
    return this.#creations.made;
  }

  /** Resources closed since the pool was made. */
  get destroyed(): number {
    return this.#closer.destroyed;
  }

  /** Resources given up since the pool was made, because their `destroy` hung. */
  get abandoned(): number {
    return this.#closer.abandoned;
  }

  /** The latest failed creation that no success has followed. */
  get lastFailure(): CreationFailure | undefined {
    return this.#creations.lastFailure;
  }

  /** The free resource that was used last, if it may be lent as it is. */
  takeFresh(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    const slot = idle[idle.length - 1];
    if (!slot || now >= slot.freshUntil) return undefined;
    idle.pop();
    return slot;
  }

  /** {@linkcode Inventory.takeFresh}, after those of the last used have been closed that are too old. */
  take(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    for (let slot = idle[idle.length - 1]; slot; slot = idle[idle.length - 1]) {
      const fresh = this.takeFresh(now);
      const worn = fresh ? undefined : this.#worn(slot, now);
      if (fresh) fresh.state = READY;
      if (!worn) return fresh;
      idle.pop();
      this.close(slot, worn);
    }
    return undefined;
  }

  /** Keeps a resource that nobody waits for, if there is room for it still. */
  park(slot: Slot<T>): void {
    if (this.#oversized) this.close(slot, "shrunk");
    else this.keep(slot);
  }

  /** Keeps a resource that nobody waits for. */
  keep(slot: Slot<T>): void {
    slot.state = IDLE;
    this.#idle.push(slot);
  }

  /** Closes free resources, the least recently used first, until there are no more than may be. */
  shrink(): void {
    this.#shrunk = this.#choosy = true;
    for (let slot = this.#idle[0]; slot && this.#oversized; slot = this.#idle[0]) {
      this.#idle.shift();
      this.close(slot, "shrunk");
    }
  }

  /**
   * Sees to it that resources for `demand` waiters are on their way: free ones
   * that must be validated first, then new ones. {@linkcode take} has found
   * nothing that could be lent at once.
   */
  supply(demand: () => number, now: number): void {
    while (demand() > this.#preparer.validating) {
      const stale = this.#idle.pop();
      if (!stale) break;
      stale.state = READY;
      const worn = this.#worn(stale, now);
      if (worn) this.close(stale, worn);
      else this.#preparer.validate(stale);
    }
    while (demand() > this.pending && this.#creations.mayServe(now) && this.#hasRoom) this.#creations.begin(now);
  }

  /**
   * Takes a resource back from its holder. True when it can be lent again at
   * once; otherwise it is closed or reset, and offered when it is ready.
   *
   * @param timed Whether `now` was read for it, and is not only the latest reading there is.
   */
  takeBack(slot: Slot<T>, destroy: boolean, now: number, timed: boolean): boolean {
    slot.usedAt = now;
    slot.usedAtGuessed = !timed;
    this.#working(slot, now);
    const resets = this.#factory.reset !== undefined;
    if (!resets && !this.#choosy && !destroy && !slot.invalid && !this.#worn(slot, now)) return true;
    slot.state = READY;
    const reason = destroy ? "broken" : slot.invalid ? "invalid" : this.#whyUnwanted() ?? this.#worn(slot, now);
    if (reason) this.close(slot, reason);
    else if (resets) this.#preparer.reset(slot);
    else return true;
    return false;
  }

  /** Makes resources up to `minConnections`. */
  refill(now: number): void {
    const { minConnections } = this.#ledger.limits;
    while (this.#kept < minConnections && this.#creations.mayRefill(now) && this.#hasRoom) this.#creations.begin(now);
  }

  /** Closes what is too old or surplus among the free resources, and says when to look again. */
  sweep(now: number): number {
    let next = Infinity;
    for (const slot of [...this.#idle]) {
      if (slot.state.kind !== "idle") continue; // closing another one let it be lent
      // The first look comes within a tick, unless the isolate was frozen since: then it was lent for an unknown time.
      if (slot.usedAtGuessed) slot.usedAt = Math.max(slot.usedAt, now - TICK_MS);
      slot.usedAtGuessed = false;
      const worn = this.#worn(slot, now);
      const surplus = this.#kept > this.#ledger.limits.minConnections;
      const idleUntil = slot.usedAt + this.#config.idleTimeoutMs;
      if (worn || (surplus && now >= idleUntil)) {
        this.#idle.splice(this.#idle.indexOf(slot), 1);
        this.close(slot, worn ?? "idle");
      } else {
        next = Math.min(next, slot.expiresAt, surplus ? idleUntil : Infinity);
      }
    }
    return next;
  }

  /** Closes a resource that is in no list. Its slot stays taken until `destroy` settles or is given up. */
  close(slot: Slot<T>, reason: DestroyReason): void {
    slot.state = CLOSING;
    this.live.delete(slot);
    this.#closing++;
    this.#closer.close(slot.resource, slot.id, reason, () => {
      this.#closing--;
      this.#owner.changed();
    });
  }

  /** Makes nothing any more and closes what is free. */
  shutdown(): void {
    this.#closed = this.#choosy = true;
    this.#creations.stop();
    for (let slot = this.#idle.pop(); slot; slot = this.#idle.pop()) this.close(slot, "shutdown");
  }

  /** Waits for no hook any longer. */
  giveUp(): void {
    this.hooks.giveUp(new PoolClosedError());
  }

  /** Resources that are there or will be. */
  get #kept(): number {
    return this.live.size + this.#creations.size;
  }

  get #hasRoom(): boolean {
    return this.size < this.#ledger.limits.maxConnections;
  }

  /** Whether there are more resources than there may be, which only a lower limit brings about. */
  get #oversized(): boolean {
    if (this.#shrunk) this.#shrunk = this.#kept > this.#ledger.limits.maxConnections;
    return this.#shrunk;
  }

  /** Why what comes back is not kept. */
  #whyUnwanted(): DestroyReason | undefined {
    if (this.#closed) return "shutdown";
    if (this.#oversized) return "shrunk";
    this.#choosy = false;
    return undefined;
  }

  #worn(slot: Slot<T>, now: number): DestroyReason | undefined {
    if (now >= slot.expiresAt) return "lifetime";
    return slot.uses >= this.#config.maxUses ? "uses" : undefined;
  }

  /** Notes that a resource was seen to work. */
  #working(slot: Slot<T>, now: number): void {
    if (this.#factory.validate) slot.freshUntil = Math.min(slot.expiresAt, now + this.#config.validateAfterIdleMs);
  }

  #add(slot: Slot<T>): void {
    const now = this.#clock.now();
    this.live.add(slot);
    this.#working(slot, slot.usedAt);
    if (this.#closed) this.close(slot, "shutdown");
    else this.#owner.offer(slot, now);
  }

  #prepared(slot: Slot<T>, fit: boolean): void {
    const now = this.#clock.now();
    if (fit) this.#working(slot, now);
    const reason = this.#closed ? "shutdown" : fit ? this.#whyUnwanted() ?? this.#worn(slot, now) : "invalid";
    if (reason) this.close(slot, reason);
    else this.#owner.offer(slot, now);
    // Whoever waited for this one may have another one made while it closes.
    this.#owner.changed();
  }

  #invalidate(slot: Slot<T>, reason: unknown): void {
    if (slot.invalid || slot.state.kind === "closing") return;
    slot.invalid = true;
    const error = new ResourceInvalidError(reason);
    this.#events.emit("error", { error, source: "invalidate" });
    if (slot.lease) {
      const thrown = leaseAccess.notifyLost(slot.lease, error);
      if (thrown) this.#events.emit("error", { error: thrown.error, source: "listener" });
    } else if (slot.state.kind === "idle") {
      this.#idle.splice(this.#idle.indexOf(slot), 1);
      this.close(slot, "invalid");
      this.#owner.changed();
    }
  }
}
