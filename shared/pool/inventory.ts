/**
 * The resources of a pool: making, keeping, checking and closing them.
 *
 * @module
 */
import { classifyFailure, type Clock } from "../resilience/mod.ts";
import type { PoolConfig } from "./config.ts";
import { Creation } from "./creation.ts";
import { CreationBackoff, type CreationFailure } from "./creation_backoff.ts";
import { HookTimeoutError, PoolClosedError, ResourceInvalidError } from "./errors.ts";
import type { DestroyReason, EventHub, PoolEvents } from "./events.ts";
import { HookRunner } from "./hook_run.ts";
import type { Ledger } from "./limits.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { CLOSING, IDLE, READY, RESETTING, Slot, VALIDATING } from "./slot.ts";

/** Who is told what becomes of the resources. */
export interface InventoryOwner<T extends object> {
  /** A resource is ready: it is to be lent or {@linkcode Inventory.park}ed. */
  offer(slot: Slot<T>, now: number): void;
  /** Capacity was freed, or a backoff is over. */
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
  readonly #random: () => number;
  readonly #events: EventHub<PoolEvents<T>>;
  readonly #owner: InventoryOwner<T>;

  readonly #backoff: CreationBackoff;
  /** Every resource that is not closing. */
  readonly live = new Set<Slot<T>>();
  /** Free ones, the least recently used first: they are lent from the end and age out from the front. */
  readonly #idle: Slot<T>[] = [];
  readonly #hooks: HookRunner;
  /** Creations under way, and those of them that are overdue and will serve nobody. */
  readonly #creations = new Set<Creation<T>>();
  #overdue = 0;
  #validating = 0;
  #closing = 0;
  #closed = false;
  #shrunk = false;

  /** Totals since the pool was made. */
  created = 0;
  destroyed = 0;
  abandoned = 0;

  constructor(
    factory: ResourceFactory<T>,
    config: Readonly<PoolConfig>,
    ledger: Ledger,
    clock: Clock,
    random: () => number,
    events: EventHub<PoolEvents<T>>,
    owner: InventoryOwner<T>,
  ) {
    this.#factory = factory;
    this.#config = config;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#random = random;
    this.#events = events;
    this.#owner = owner;
    this.#hooks = new HookRunner(clock);
    this.#backoff = new CreationBackoff(clock, config.retryDelayMs, random, () => owner.changed());
  }

  /** Slots taken: resources being made, living, and being closed. */
  get size(): number {
    return this.live.size + this.#creations.size + this.#closing;
  }

  /** Resources free to be lent. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Resources being made, those whose creation is overdue included. */
  get creating(): number {
    return this.#creations.size;
  }

  /** The latest failed creation that no success has followed. */
  get lastFailure(): CreationFailure | undefined {
    return this.#backoff.last;
  }

  /** Resources being closed. */
  get closing(): number {
    return this.#closing;
  }

  /** Resources on their way to somebody who waits: being made or validated. One that is reset may never come. */
  get pending(): number {
    return this.#creations.size - this.#overdue + this.#validating;
  }

  /** Takes a free resource that needs no validation out of the inventory: the most recently used. */
  take(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    for (let slot = idle[idle.length - 1]; slot; slot = idle[idle.length - 1]) {
      const worn = this.#worn(slot, now);
      if (!worn && this.#isStale(slot, now)) return undefined;
      idle.pop();
      slot.state = READY;
      if (!worn) return slot;
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
    this.#shrunk = true;
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
    while (demand() > this.#validating) {
      const stale = this.#idle.pop();
      if (!stale) break;
      stale.state = READY;
      const worn = this.#worn(stale, now);
      if (worn) this.close(stale, worn);
      else this.#validate(stale);
    }
    while (
      demand() > this.pending && !this.#closed && this.size < this.#ledger.limits.maxConnections &&
      this.#backoff.mayRetry(now)
    ) this.#create(now);
  }

  /**
   * Takes a resource back from its holder. True when it can be lent again at
   * once; otherwise it is closed or reset, and offered when it is ready.
   */
  takeBack(slot: Slot<T>, destroy: boolean, now: number): boolean {
    slot.state = READY;
    slot.usedAt = now;
    slot.checkedAt = now;
    const reason = destroy ? "broken" : slot.invalid ? "invalid" : this.#unwanted ?? this.#worn(slot, now);
    if (reason) this.close(slot, reason);
    else if (this.#factory.reset) this.#reset(slot);
    else return true;
    return false;
  }

  /** Makes resources up to `minConnections`. */
  refill(now: number): void {
    while (
      !this.#closed && this.#backoff.mayRefill(now) &&
      this.live.size + this.#creations.size < this.#ledger.limits.minConnections &&
      this.size < this.#ledger.limits.maxConnections
    ) this.#create(now);
  }

  /** Closes what is too old or surplus among the free resources, and says when to look again. */
  sweep(now: number): number {
    let next = Infinity;
    for (const slot of [...this.#idle]) {
      if (slot.state.kind !== "idle") continue; // closing another one let it be lent
      const worn = this.#worn(slot, now);
      const surplus = this.live.size + this.#creations.size > this.#ledger.limits.minConnections;
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
    this.#destroy(slot.resource, reason, () => {
      this.#closing--;
      this.#owner.changed();
    });
  }

  /** Makes nothing any more and closes what is free. */
  shutdown(): void {
    this.#closed = true;
    this.#backoff.stop();
    for (const creation of [...this.#creations]) creation.abort(new PoolClosedError());
    for (let slot = this.#idle.pop(); slot; slot = this.#idle.pop()) this.close(slot, "shutdown");
  }

  /** Waits for no hook any longer. */
  giveUp(): void {
    this.#hooks.giveUp(new PoolClosedError());
  }

  /** Whether there are more resources than there may be, which only a lower limit brings about. */
  get #oversized(): boolean {
    if (this.#shrunk) this.#shrunk = this.live.size + this.#creations.size > this.#ledger.limits.maxConnections;
    return this.#shrunk;
  }

  get #unwanted(): DestroyReason | undefined {
    if (this.#closed) return "shutdown";
    return this.#oversized ? "shrunk" : undefined;
  }

  #worn(slot: Slot<T>, now: number): DestroyReason | undefined {
    if (now >= slot.expiresAt) return "lifetime";
    return slot.uses >= this.#config.maxUses ? "uses" : undefined;
  }

  #isStale(slot: Slot<T>, now: number): boolean {
    return this.#factory.validate !== undefined && now - slot.checkedAt >= this.#config.validateAfterIdleMs;
  }

  #create(now: number): void {
    const creation = new Creation<T>(now);
    this.#creations.add(creation);
    creation.begin(this.#factory, this.#hooks, this.#config, {
      made: (_, resource) => this.#made(creation, resource),
      failed: (_, error) => {
        this.#creations.delete(creation);
        this.#failed(creation, error, classifyFailure(error) !== "permanent");
      },
      overdue: (_, error) => {
        this.#overdue++;
        this.#failed(creation, error, true);
      },
      over: (_, late) => {
        this.#overdue--;
        this.#creations.delete(creation);
        if (late) this.close(this.#born(late, creation), "late");
        this.#owner.changed();
      },
      late: (resource) => this.#discard(resource, creation),
    });
  }

  #made(creation: Creation<T>, resource: T): void {
    const slot = this.#born(resource, creation);
    this.#creations.delete(creation);
    this.live.add(slot);
    if (creation.invalid) {
      // The pause begins first: closing it makes room for another one at once.
      const failed = this.#pause(creation, new ResourceInvalidError(creation.invalid.reason), true);
      this.close(slot, "invalid");
      return failed();
    }
    creation.onInvalid = (reason) => this.#invalidate(slot, reason);
    this.#backoff.succeeded();
    if (this.#closed) this.close(slot, "shutdown");
    else this.#owner.offer(slot, this.#clock.now());
    // Others may have waited for the backoff that has just ended.
    this.#owner.changed();
  }

  #born(resource: T, creation: Creation<T>): Slot<T> {
    const { maxLifetimeMs, lifetimeJitter } = this.#config;
    const now = this.#tellCreated(resource, creation);
    this.created++;
    return new Slot(resource, now, now + Math.floor(maxLifetimeMs * (1 - lifetimeJitter * this.#random())));
  }

  #tellCreated(resource: T, { startedAt }: Creation<T>): number {
    const now = this.#clock.now();
    this.#events.emit("created", { resource, durationMs: now - startedAt });
    return now;
  }

  /**
   * A resource that came when its creation had been given up and its slot freed:
   * nobody may have it. It is counted, as made and as closed, when it has gone.
   */
  #discard(resource: T, creation: Creation<T>): void {
    this.#tellCreated(resource, creation);
    this.#destroy(resource, "late", () => void this.created++);
  }

  #failed(creation: Creation<T>, error: unknown, transient: boolean): void {
    this.#pause(creation, error, transient)();
  }

  /** Begins the pause after a failure. What is returned tells of it. */
  #pause({ startedAt }: Creation<T>, error: unknown, transient: boolean): () => void {
    if (this.#closed) return () => this.#owner.changed();
    this.#backoff.failed(error, transient, startedAt, this.#clock.now());
    this.#events.emit("error", { error, source: "create" });
    return transient ? () => this.#owner.changed() : () => this.#owner.refused(error);
  }

  #validate(slot: Slot<T>): void {
    slot.state = VALIDATING;
    this.#validating++;
    const call = () => this.#factory.validate?.(slot.resource);
    this.#prepare("validate", slot, this.#config.validateTimeoutMs, call, () => this.#validating--);
  }

  #reset(slot: Slot<T>): void {
    slot.state = RESETTING;
    this.#prepare("reset", slot, this.#config.resetTimeoutMs, () => this.#factory.reset?.(slot.resource), () => {});
  }

  /** Runs a hook that decides whether a resource can be lent, and acts on the answer. */
  #prepare(
    source: "validate" | "reset",
    slot: Slot<T>,
    timeoutMs: number,
    call: () => unknown,
    ended: () => void,
  ): void {
    this.#hooks.run(timeoutMs, () => new HookTimeoutError(source, timeoutMs), call, (outcome) => {
      const now = this.#clock.now();
      ended();
      slot.state = READY;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source });
      const passed = outcome.ok && outcome.value !== false && !slot.invalid;
      if (passed) slot.checkedAt = now;
      const reason = passed ? this.#unwanted ?? this.#worn(slot, now) : "invalid";
      if (reason) this.close(slot, reason);
      else this.#owner.offer(slot, now);
      // Whoever waited for this one may have another one made while it closes.
      this.#owner.changed();
    });
  }

  #invalidate(slot: Slot<T>, reason: unknown): void {
    if (slot.invalid || slot.state.kind === "closing") return;
    slot.invalid = true;
    const error = new ResourceInvalidError(reason);
    this.#events.emit("error", { error, source: "invalidate" });
    if (slot.state.kind === "lent") {
      const thrown = slot.state.warn(error);
      if (thrown) this.#events.emit("error", { error: thrown.error, source: "listener" });
    } else if (slot.state.kind === "idle") {
      this.#idle.splice(this.#idle.indexOf(slot), 1);
      this.close(slot, "invalid");
      this.#owner.changed();
    }
  }

  #destroy(resource: T, reason: DestroyReason, done: () => void): void {
    const timeoutMs = this.#config.destroyTimeoutMs;
    const call = () => this.#factory.destroy(resource);
    this.#hooks.run(timeoutMs, () => new HookTimeoutError("destroy", timeoutMs), call, (outcome) => {
      const abandoned = !outcome.ok && outcome.gaveUp;
      if (abandoned) this.abandoned++;
      else this.destroyed++;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source: "destroy" });
      this.#events.emit("destroyed", { resource, reason, abandoned });
      done();
    });
  }
}
