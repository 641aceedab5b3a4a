/**
 * The resources of a pool: making, keeping, checking and closing them.
 *
 * @module
 */
import { classifyFailure, type Clock } from "../resilience/mod.ts";
import type { PoolConfig } from "./config.ts";
import { CreationBackoff, type CreationFailure } from "./creation_backoff.ts";
import { CreateTimeoutError, HookTimeoutError, PoolClosedError, ResourceInvalidError } from "./errors.ts";
import type { DestroyReason, EventHub, PoolEvents } from "./events.ts";
import { type Abandonable, HookRun, isPromiseLike, type Outcome } from "./hook_run.ts";
import type { Ledger } from "./limits.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { CLOSING, IDLE, RESETTING, Slot, VALIDATING } from "./slot.ts";

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
  /** Hooks under way, to be given up at a shutdown's deadline. */
  readonly #runs = new Set<Abandonable>();
  readonly #aborts = new Set<AbortController>();
  #creating = 0;
  #closing = 0;
  #pending = 0;
  #closed = false;

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
    this.#backoff = new CreationBackoff(clock, config.retryDelayMs, random, () => owner.changed());
  }

  /** Slots taken: resources being made, living, and being closed. */
  get size(): number {
    return this.live.size + this.#creating + this.#closing;
  }

  /** Resources free to be lent. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Resources being made, those whose creation is overdue included. */
  get creating(): number {
    return this.#creating;
  }

  /** The latest failed creation that no success has followed. */
  get lastFailure(): CreationFailure | undefined {
    return this.#backoff.last;
  }

  /** Resources being closed. */
  get closing(): number {
    return this.#closing;
  }

  /** Resources that are on their way to somebody who waits: being made, validated or reset. */
  get pending(): number {
    return this.#pending;
  }

  /** Takes a free resource that needs no validation out of the inventory: the most recently used. */
  take(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    for (let slot = idle[idle.length - 1]; slot; slot = idle[idle.length - 1]) {
      const worn = this.#worn(slot, now);
      if (!worn && this.#isStale(slot, now)) return undefined;
      idle.pop();
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
    for (let slot = this.#idle[0]; slot && this.#oversized; slot = this.#idle[0]) {
      this.#idle.shift();
      this.close(slot, "shrunk");
    }
  }

  /** Begins to validate a stale resource, or to make a new one. False when neither can be done now. */
  supply(now: number): boolean {
    const stale = this.#idle.pop();
    if (stale) {
      this.#validate(stale);
      return true;
    }
    if (this.#closed || this.size >= this.#ledger.limits.maxConnections || !this.#backoff.mayRetry(now)) return false;
    this.#create(now);
    return true;
  }

  /**
   * Takes a resource back from its holder. True when it can be lent again at
   * once; otherwise it is closed or reset, and offered when it is ready.
   */
  takeBack(slot: Slot<T>, destroy: boolean, now: number): boolean {
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
      this.live.size + this.#creating < this.#ledger.limits.minConnections &&
      this.size < this.#ledger.limits.maxConnections
    ) this.#create(now);
  }

  /** Closes what is too old or surplus among the free resources, and says when to look again. */
  sweep(now: number): number {
    let next = Infinity;
    for (const slot of [...this.#idle]) {
      const worn = this.#worn(slot, now);
      const surplus = this.live.size + this.#creating > this.#ledger.limits.minConnections;
      const idleUntil = slot.usedAt + this.#config.idleTimeoutMs;
      if (worn || (surplus && now >= idleUntil)) {
        const index = this.#idle.indexOf(slot);
        if (index < 0) continue; // closing another one let it be lent
        this.#idle.splice(index, 1);
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
    for (const controller of [...this.#aborts]) controller.abort(new PoolClosedError());
    for (const slot of this.#idle.splice(0)) this.close(slot, "shutdown");
  }

  /** Waits for no hook any longer. */
  giveUp(): void {
    // Giving one up may begin another: a validation that is over makes room for a destroy.
    for (const run of this.#runs) run.giveUp(new PoolClosedError());
  }

  /** Whether there are more resources than there may be: those being closed count no more. */
  get #oversized(): boolean {
    return this.live.size + this.#creating > this.#ledger.limits.maxConnections;
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
    const { createTimeoutMs, destroyTimeoutMs } = this.#config;
    const controller = new AbortController();
    const birth: { slot?: Slot<T>; invalid?: { reason: unknown } } = {};
    const invalidate = (reason?: unknown) => {
      birth.invalid ??= { reason };
      if (birth.slot) this.#invalidate(birth.slot, reason);
    };
    let made: T | PromiseLike<T> | undefined;
    const call = () => made = this.#factory.create({ signal: controller.signal, invalidate });
    const timeoutError = () => new CreateTimeoutError(createTimeoutMs);
    this.#creating++;
    this.#pending++;
    this.#aborts.add(controller);

    this.#run(createTimeoutMs, timeoutError, call, (outcome) => {
      this.#pending--;
      this.#aborts.delete(controller);
      if (!outcome.ok && outcome.gaveUp && made !== undefined && isPromiseLike(made)) {
        const late = made;
        controller.abort(outcome.error);
        // The resource may exist on the far side: the slot waits a while longer for what becomes of it.
        this.#run(destroyTimeoutMs, timeoutError, () => late, (end) => {
          if (!end.ok && end.gaveUp) late.then((resource) => this.#discard(resource, now), () => {});
          this.#creating--;
          if (end.ok) this.close(this.#born(end.value, now), "late");
          this.#owner.changed();
        });
        this.#failed(outcome.error, true);
        return;
      }
      this.#creating--;
      if (!outcome.ok) {
        this.#failed(outcome.error, classifyFailure(outcome.error) !== "permanent");
        return;
      }
      const slot = birth.slot = this.#born(outcome.value, now);
      if (this.#closed) this.close(slot, "shutdown");
      else if (birth.invalid) {
        this.close(slot, "invalid");
        this.#failed(new ResourceInvalidError(birth.invalid.reason), true);
      } else {
        this.live.add(slot);
        this.#backoff.succeeded();
        this.#owner.offer(slot, this.#clock.now());
        // Others may have waited for the backoff that has just ended.
        this.#owner.changed();
      }
    });
  }

  #born(resource: T, since: number): Slot<T> {
    const now = this.#clock.now();
    const { maxLifetimeMs, lifetimeJitter } = this.#config;
    this.created++;
    this.#events.emit("created", { resource, durationMs: now - since });
    return new Slot(resource, now, now + Math.floor(maxLifetimeMs * (1 - lifetimeJitter * this.#random())));
  }

  /** A resource that came when its creation had been given up and its slot freed: nobody may have it. */
  #discard(resource: T, since: number): void {
    this.#born(resource, since);
    this.#destroy(resource, "late", () => {});
  }

  #failed(error: unknown, transient: boolean): void {
    if (this.#closed) return this.#owner.changed();
    this.#backoff.failed(error, transient, this.#clock.now());
    this.#events.emit("error", { error, source: "create" });
    if (transient) this.#owner.changed();
    else this.#owner.refused(error);
  }

  #validate(slot: Slot<T>): void {
    slot.state = VALIDATING;
    this.#prepare("validate", slot, this.#config.validateTimeoutMs, () => this.#factory.validate?.(slot.resource));
  }

  #reset(slot: Slot<T>): void {
    slot.state = RESETTING;
    this.#prepare("reset", slot, this.#config.resetTimeoutMs, () => this.#factory.reset?.(slot.resource));
  }

  /** Runs a hook that decides whether a resource can be lent, and acts on the answer. */
  #prepare(
    source: "validate" | "reset",
    slot: Slot<T>,
    timeoutMs: number,
    call: () => unknown,
  ): void {
    this.#pending++;
    this.#run(timeoutMs, () => new HookTimeoutError(source, timeoutMs), call, (outcome) => {
      this.#pending--;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source });
      if (outcome.ok && outcome.value !== false && !slot.invalid) {
        const now = this.#clock.now();
        slot.checkedAt = now;
        if (this.#closed) this.close(slot, "shutdown");
        else this.#owner.offer(slot, now);
        return;
      }
      this.close(slot, "invalid");
      // Whoever waited for this one may have another made while it closes.
      this.#owner.changed();
    });
  }

  #invalidate(slot: Slot<T>, reason: unknown): void {
    if (slot.invalid || slot.state.kind === "closing") return;
    slot.invalid = true;
    this.#events.emit("error", { error: new ResourceInvalidError(reason), source: "invalidate" });
    if (slot.state.kind === "lent") slot.state.warn(new ResourceInvalidError(reason));
    if (slot.state.kind === "idle") {
      this.#idle.splice(this.#idle.indexOf(slot), 1);
      this.close(slot, "invalid");
    }
  }

  #destroy(resource: T, reason: DestroyReason, done: () => void): void {
    const timeoutMs = this.#config.destroyTimeoutMs;
    const call = () => this.#factory.destroy(resource);
    this.#run(timeoutMs, () => new HookTimeoutError("destroy", timeoutMs), call, (outcome) => {
      const abandoned = !outcome.ok && outcome.gaveUp;
      if (abandoned) this.abandoned++;
      else this.destroyed++;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source: "destroy" });
      this.#events.emit("destroyed", { resource, reason, abandoned });
      done();
    });
  }

  #run<R>(
    timeoutMs: number,
    timeoutError: () => unknown,
    call: () => R | PromiseLike<R>,
    done: (outcome: Outcome<R>) => void,
  ): void {
    const held: { run?: Abandonable } = {};
    const run = new HookRun(this.#clock, timeoutMs, timeoutError, call, (outcome) => {
      if (held.run) this.#runs.delete(held.run);
      done(outcome);
    });
    if (run.pending) this.#runs.add(held.run = run);
  }
}
