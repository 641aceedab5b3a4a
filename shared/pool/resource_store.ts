/**
 * The resources of a pool: idle ones, and what becomes of each of the others.
 *
 * @module
 */
import type { Capacity } from "./capacity.ts";
import type { PoolConfig } from "./config.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import { Creator } from "./creator.ts";
import { PoolClosedError } from "./errors.ts";
import { ResourceInvalidError } from "./resource_errors.ts";
import type { DestroyReason } from "./events.ts";
import { leaseAccess } from "./lease.ts";
import type { PoolContext, PoolHost } from "./pool_host.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { Slot } from "./slot.ts";

/** The longest time between two readings of the clock while something is leased, in ms. */
export const TICK_MS = 1_000;

/** An idle timeout below this is kept to the ms; a longer one may end one tick too early. */
const COARSE_IDLE_MS = 10 * TICK_MS;

/**
 * All slots of a pool. A slot is held from the start of its resource's creation
 * until `destroy` has settled, so that `size` never exceeds `maxConnections`,
 * whatever hangs.
 */
export class ResourceStore<T extends object> {
  readonly #context: PoolContext<T>;
  readonly #host: PoolHost<T>;
  readonly #config: Readonly<PoolConfig>;
  readonly #capacity: Capacity;
  readonly #creator: Creator<T>;
  readonly #factory: ResourceFactory<T>;
  readonly #prepared = (slot: Slot<T>, usable: boolean): void => this.#hookEnded(slot, usable);

  /** Every resource that is not closing. */
  readonly live = new Set<Slot<T>>();
  /** Idle resources, the least recently used first: they are leased from the end and expire from the front. */
  readonly #idle: Slot<T>[] = [];
  #validating = 0;
  /** The number of those validations that a waiter relies on: no other one has failed since they began. */
  #trusted = 0;
  /** Increases at each failed validation. */
  #failures = 0;
  #suspecting = false;
  #closed = false;
  /** True when there may be more resources than `maxConnections`, after it was lowered. */
  #shrinking = false;
  /** True when a released resource may be one too many. */
  #mustReexamine = false;

  /** The number of resources that are closing. */
  closing = 0;
  /** The number of resources destroyed, whether or not `destroy` failed. */
  destroyed = 0;
  /** The number of resources abandoned because their `destroy` hung. */
  abandoned = 0;

  constructor(context: PoolContext<T>, host: PoolHost<T>) {
    const { factory, config, capacity } = context;
    this.#context = context;
    this.#host = host;
    this.#config = config;
    this.#capacity = capacity;
    this.#factory = factory;
    this.#creator = new Creator(context, host, this);
  }

  /** The number of slots held: resources that are live, being created, or closing. */
  get size(): number {
    return this.live.size + this.#creator.size + this.closing;
  }

  /** True when the instant of a release matters to the ms. */
  get needsExactReleaseTime(): boolean {
    return this.#factory.validate !== undefined || this.#config.idleTimeoutMs < COARSE_IDLE_MS;
  }

  /** The number of idle resources. */
  get idle(): number {
    return this.#idle.length;
  }

  /** The number of resources being created, the overdue ones included. */
  get creating(): number {
    return this.#creator.size;
  }

  /** The number of resources on their way to a waiter: being created or validated. One being reset may never come. */
  get pending(): number {
    return this.#creator.pending + this.#validating;
  }

  /** The number of resources created. */
  get created(): number {
    return this.#creator.count;
  }

  /** The latest failed creation that no success has followed. */
  get lastCreationFailure(): CreationFailure | undefined {
    return this.#creator.lastFailure;
  }

  /** Takes the most recently used idle resource, if it may be leased as it is. */
  checkOut(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    const slot = idle[idle.length - 1];
    if (!slot || now >= slot.skipValidationUntil) return undefined;
    idle.pop();
    slot.unpark();
    return slot;
  }

  /** Like {@linkcode checkOut}, but first closes the most recently used ones as far as they have expired. */
  checkOutUnexpired(now: number): Slot<T> | undefined {
    const idle = this.#idle;
    for (let slot = idle[idle.length - 1]; slot; slot = idle[idle.length - 1]) {
      const usable = this.checkOut(now);
      const expired = usable ? undefined : this.#expiryReason(slot, now);
      if (!expired) return usable;
      idle.pop();
      slot.unpark();
      this.close(slot, expired);
    }
    return undefined;
  }

  /** Parks an unassigned resource. */
  park(slot: Slot<T>): void {
    slot.park();
    this.#idle.push(slot);
  }

  /** Parks an unassigned resource, or closes it if there are more than `maxConnections`. */
  parkOrShrink(slot: Slot<T>): void {
    if (this.#isOverMax) this.close(slot, "shrunk");
    else this.park(slot);
  }

  /** Closes idle resources, the least recently used first, until `maxConnections` is kept. */
  shrink(): void {
    this.#shrinking = this.#mustReexamine = true;
    for (let slot = this.#idle[0]; slot && this.#isOverMax; slot = this.#idle[0]) {
      this.#idle.shift();
      slot.unpark();
      this.close(slot, "shrunk");
    }
  }

  /** Closes idle resources, the least recently used first, until the floor is kept. */
  trim(): void {
    for (const slot of [...this.#idle]) {
      if (this.#retained <= this.#capacity.limits.minConnections) return;
      if (slot.idle) this.#closeIdle(slot, "memory"); // the close of another one may have led to its lease
    }
  }

  /**
   * Brings resources on their way for the waiters in demand: idle ones that must
   * be validated first, then new ones. {@linkcode checkOutUnexpired} has found
   * none that could be leased at once.
   *
   * A waiter relies on one validation. When that fails, all that have been idle
   * for as long are validated together, and a new resource is created beside
   * them: it waits for one validation and one creation, however many are dead.
   *
   * @param queue Its demand is read again after each hook, which may change it.
   */
  ensureSupply(queue: { readonly demand: number }, now: number): void {
    while (queue.demand > this.#trusted) {
      const stale = this.#idle.pop();
      if (!stale) break;
      stale.unpark();
      const expired = this.#expiryReason(stale, now);
      if (expired) this.close(stale, expired);
      else this.#validate(stale, true);
    }
    while (queue.demand > this.#creator.pending + this.#trusted && this.#creator.mayServe(now) && this.#hasRoom) {
      this.#creator.begin(now);
    }
  }

  /** Creates resources up to `minConnections`. */
  refill(now: number): void {
    const { minConnections } = this.#capacity.limits;
    while (this.#retained < minConnections && this.#creator.mayRefill(now) && this.#hasRoom) this.#creator.begin(now);
  }

  /**
   * Takes an unassigned resource whose lease has ended. Returns true when it can
   * be leased again at once; otherwise it is closed, or handed off after its
   * reset.
   *
   * @param reason Why it is to be closed, whatever its state.
   */
  checkIn(slot: Slot<T>, now: number, reason: DestroyReason | undefined): boolean {
    this.#skipValidation(slot, now);
    let unwanted = reason ?? this.#closeReason(slot, now);
    if (!unwanted && this.#factory.reset) {
      const usable = this.#context.hooks.reset(slot, this.#prepared);
      if (usable === undefined) return false;
      // The hook may have used the pool.
      unwanted = usable ? this.#closeReason(slot, now) : this.#closed ? "shutdown" : "invalid";
    }
    if (unwanted) this.close(slot, unwanted);
    return unwanted === undefined;
  }

  /** Closes idle resources that have expired or are surplus. Returns when the next one falls due. */
  sweep(now: number): number {
    let next = Infinity;
    for (const slot of [...this.#idle]) {
      if (!slot.idle) continue; // the close of another one led to its lease
      // Taken for used as long as it may have been: a release reads no clock.
      if (slot.usedAtIsEstimate) slot.usedAt = Math.max(slot.usedAt, now - TICK_MS);
      slot.usedAtIsEstimate = false;
      const expired = this.#expiryReason(slot, now);
      const surplus = this.#retained > this.#capacity.limits.minConnections;
      const idleUntil = slot.usedAt + this.#config.idleTimeoutMs;
      if (expired || (surplus && now >= idleUntil)) this.#closeIdle(slot, expired ?? "idle");
      else next = Math.min(next, slot.expiresAt, surplus ? idleUntil : Infinity);
    }
    return next;
  }

  /** Closes an unassigned resource. Its slot is held until `destroy` settles or is abandoned. */
  close(slot: Slot<T>, reason: DestroyReason): void {
    slot.close();
    this.live.delete(slot);
    this.closing++;
    this.#destroy(slot.resource, slot.id, slot.createdAt, reason, () => {
      this.closing--;
      this.#host.schedule();
    });
  }

  /** Destroys a resource that holds no slot and was created at `createdAt`; `done` is called when it has closed. */
  destroyOrphan(resource: T, id: number, createdAt: number, done: () => void): void {
    this.#destroy(resource, id, createdAt, "late", done);
  }

  /** Adds a new resource. */
  add(slot: Slot<T>): void {
    this.live.add(slot);
    this.#skipValidation(slot, slot.usedAt);
    if (this.#closed) this.close(slot, "shutdown");
    else this.#host.handOff(slot, slot.usedAt);
  }

  /** Closes a resource that has reported its death: now if it is idle, otherwise when its lease or hook ends. */
  invalidate(slot: Slot<T>, reason: unknown): void {
    if (slot.invalid || slot.closing) return;
    slot.invalid = true;
    const { events } = this.#context;
    const error = new ResourceInvalidError(reason);
    events.emit("error", { error, source: "invalidate", resourceId: slot.id });
    if (slot.lease) {
      const thrown = leaseAccess.notifyLost(slot.lease, error);
      if (thrown) events.emit("error", { error: thrown.error, source: "listener" });
    } else if (slot.idle) {
      this.#closeIdle(slot, "invalid");
      this.#host.schedule();
    }
  }

  /** Creates nothing any more and closes the idle resources. */
  shutdown(): void {
    this.#closed = this.#mustReexamine = true;
    this.#creator.stop();
    for (let slot = this.#idle.pop(); slot; slot = this.#idle.pop()) {
      slot.unpark();
      this.close(slot, "shutdown");
    }
  }

  /** Waits for no hook any longer. */
  abandonHooks(): void {
    this.#context.hooks.abandonAll(new PoolClosedError());
  }

  /** The number of resources that are live or being created. */
  get #retained(): number {
    return this.live.size + this.#creator.size;
  }

  get #hasRoom(): boolean {
    return this.size < this.#capacity.limits.maxConnections;
  }

  get #isOverMax(): boolean {
    if (this.#shrinking) this.#shrinking = this.#retained > this.#capacity.limits.maxConnections;
    return this.#shrinking;
  }

  /** Returns why an unassigned resource may not be leased again. */
  #closeReason(slot: Slot<T>, now: number): DestroyReason | undefined {
    if (slot.invalid) return "invalid";
    if (this.#mustReexamine) {
      if (this.#closed) return "shutdown";
      if (this.#isOverMax) return "shrunk";
      this.#mustReexamine = false;
    }
    return this.#expiryReason(slot, now);
  }

  #expiryReason(slot: Slot<T>, now: number): DestroyReason | undefined {
    if (now >= slot.expiresAt) return "lifetime";
    return slot.uses >= this.#config.maxUses ? "uses" : undefined;
  }

  /** Notes that a resource was seen to work. */
  #skipValidation(slot: Slot<T>, now: number): void {
    if (this.#factory.validate) {
      slot.skipValidationUntil = Math.min(slot.expiresAt, now + this.#config.validateAfterIdleMs);
    }
  }

  /** @param trusted True if a waiter relies on it. */
  #validate(slot: Slot<T>, trusted: boolean): void {
    const failures = this.#failures;
    const { latestId } = this.#creator;
    this.#validating++;
    if (trusted) this.#trusted++;
    this.#context.hooks.validate(slot, (usable) => {
      this.#validating--;
      if (trusted && failures === this.#failures) this.#trusted--;
      if (!usable) this.#suspectStale(latestId);
      this.#hookEnded(slot, usable);
    });
  }

  /**
   * After a failed validation: validates all stale resources, and has no waiter rely on them.
   *
   * @param latestId The latest resource when that validation began: those created since are not suspected.
   */
  #suspectStale(latestId: number): void {
    this.#failures++;
    this.#trusted = 0;
    if (this.#closed || this.#suspecting) return;
    this.#suspecting = true;
    const now = this.#context.clock.now();
    const isStale = ({ id, skipValidationUntil }: Slot<T>) => id <= latestId && now >= skipValidationUntil;
    for (const slot of this.#idle.filter(isStale)) {
      if (!slot.idle) continue; // a hook of another one led to its lease or its close
      this.#takeIdle(slot);
      this.#validate(slot, false);
    }
    this.#suspecting = false;
  }

  /** Hands a resource off after its hook, or closes it. */
  #hookEnded(slot: Slot<T>, usable: boolean): void {
    const now = this.#context.clock.now();
    if (usable) this.#skipValidation(slot, now);
    const reason = this.#closed ? "shutdown" : usable ? this.#closeReason(slot, now) : "invalid";
    if (reason) this.close(slot, reason);
    else this.#host.handOff(slot, now);
    // While this one closes, another one may be created for its waiter.
    this.#host.schedule();
  }

  #closeIdle(slot: Slot<T>, reason: DestroyReason): void {
    this.#takeIdle(slot);
    this.close(slot, reason);
  }

  #takeIdle(slot: Slot<T>): void {
    this.#idle.splice(this.#idle.indexOf(slot), 1);
    slot.unpark();
  }

  #destroy(resource: T, resourceId: number, createdAt: number, reason: DestroyReason, done: () => void): void {
    const { clock, events, hooks } = this.#context;
    hooks.destroy(resource, (abandoned) => {
      if (abandoned) this.abandoned++;
      else this.destroyed++;
      if (events.has("destroyed")) {
        events.emit("destroyed", { resourceId, reason, abandoned, ageMs: clock.now() - createdAt });
      }
      done();
    });
  }
}
