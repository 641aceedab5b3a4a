/**
 * The making of a pool's resources: those under way, the pauses after a failure,
 * and what becomes of a resource that comes too late.
 *
 * @module
 */
import { classifyFailure, type Clock } from "../resilience/mod.ts";
import type { PoolConfig } from "./config.ts";
import { Creation } from "./creation.ts";
import { CreationBackoff, type CreationFailure } from "./creation_backoff.ts";
import { PoolClosedError, ResourceInvalidError } from "./errors.ts";
import type { EventHub, PoolEvents } from "./events.ts";
import type { HookRunner } from "./hook_run.ts";
import type { LeaseOwner } from "./lease.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { Slot } from "./slot.ts";

/** Who is told what became of a creation. */
export interface CreationsOwner<T extends object> {
  /** Whom the leases of new resources are given back to. */
  readonly leaseOwner: LeaseOwner<T>;
  /** There is a new resource. */
  made(slot: Slot<T>): void;
  /** There is one that nobody may have: it was no good from the first, or came too late. */
  spoilt(slot: Slot<T>, reason: "invalid" | "late"): void;
  /** One came so late that its slot has another one already. `done` is to be called when it has been closed. */
  stray(resource: T, resourceId: number, done: () => void): void;
  /** A resource that was made says that it is no good any more. */
  invalidated(slot: Slot<T>, reason: unknown): void;
  /** A creation failed in a way that trying again does not mend. */
  refused(error: unknown): void;
  /** Capacity was freed, or a pause is over. */
  changed(): void;
}

/** All creations of a pool. */
export class Creations<T extends object> {
  readonly #factory: ResourceFactory<T>;
  readonly #config: Readonly<PoolConfig>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #events: EventHub<PoolEvents>;
  readonly #hooks: HookRunner;
  readonly #owner: CreationsOwner<T>;
  readonly #backoff: CreationBackoff;
  /** Those under way, and how many of them are overdue and will serve nobody. */
  readonly #underWay = new Set<Creation<T>>();
  #overdue = 0;
  #stopped = false;
  /** The number of the latest resource. */
  #ids = 0;

  /** How many resources were made. */
  made = 0;

  constructor(
    factory: ResourceFactory<T>,
    config: Readonly<PoolConfig>,
    clock: Clock,
    random: () => number,
    events: EventHub<PoolEvents>,
    hooks: HookRunner,
    owner: CreationsOwner<T>,
  ) {
    this.#factory = factory;
    this.#config = config;
    this.#clock = clock;
    this.#random = random;
    this.#events = events;
    this.#hooks = hooks;
    this.#owner = owner;
    this.#backoff = new CreationBackoff(clock, config.retryDelayMs, random, () => owner.changed());
  }

  /** How many are under way, the overdue ones included. */
  get size(): number {
    return this.#underWay.size;
  }

  /** How many are under way that may still serve somebody. */
  get pending(): number {
    return this.#underWay.size - this.#overdue;
  }

  /** The latest failure that no success has followed. */
  get lastFailure(): CreationFailure | undefined {
    return this.#backoff.last;
  }

  /** Whether a resource may be made for somebody who waits. */
  mayServe(now: number): boolean {
    return !this.#stopped && this.#backoff.mayRetry(now);
  }

  /** Whether a resource may be made that nobody waits for. */
  mayRefill(now: number): boolean {
    return !this.#stopped && this.#backoff.mayRefill(now);
  }

  /** Makes a resource. */
  begin(now: number): void {
    const creation = new Creation<T>(now);
    this.#underWay.add(creation);
    creation.begin(this.#factory, this.#hooks, this.#config, {
      made: (resource) => this.#made(creation, resource),
      failed: (error) => {
        this.#underWay.delete(creation);
        this.#failed(creation, error, classifyFailure(error) !== "permanent");
      },
      overdue: (error) => {
        this.#overdue++;
        this.#failed(creation, error, true);
      },
      over: (late) => {
        this.#overdue--;
        this.#underWay.delete(creation);
        if (late) this.#owner.spoilt(this.#born(late, creation), "late");
        this.#owner.changed();
      },
      late: (resource) => this.#stray(resource, creation),
    });
  }

  /** Makes nothing any more, and tells the factory so. */
  stop(): void {
    this.#stopped = true;
    this.#backoff.stop();
    for (const creation of [...this.#underWay]) creation.abort(new PoolClosedError());
  }

  #made(creation: Creation<T>, resource: T): void {
    const slot = this.#born(resource, creation);
    this.#underWay.delete(creation);
    if (creation.invalid) {
      // The pause begins first: closing it makes room for another one at once.
      const tell = this.#pause(creation, new ResourceInvalidError(creation.invalid.reason), true);
      this.#owner.spoilt(slot, "invalid");
      return tell();
    }
    creation.onInvalid = (reason) => this.#owner.invalidated(slot, reason);
    this.#backoff.succeeded();
    this.#owner.made(slot);
    // Others may have waited for the pause that has just ended.
    this.#owner.changed();
  }

  #born(resource: T, creation: Creation<T>): Slot<T> {
    const { maxLifetimeMs, lifetimeJitter } = this.#config;
    const id = ++this.#ids;
    const now = this.#tellCreated(id, creation);
    this.made++;
    const expiresAt = now + Math.ceil(maxLifetimeMs * (1 - lifetimeJitter * this.#random()));
    return new Slot(resource, id, this.#owner.leaseOwner, now, expiresAt);
  }

  #tellCreated(resourceId: number, { startedAt }: Creation<T>): number {
    const now = this.#clock.now();
    this.#events.emit("created", { resourceId, durationMs: now - startedAt });
    return now;
  }

  /** It is counted, as made and as closed, when it has gone. */
  #stray(resource: T, creation: Creation<T>): void {
    const id = ++this.#ids;
    this.#tellCreated(id, creation);
    this.#owner.stray(resource, id, () => this.made++);
  }

  #failed(creation: Creation<T>, error: unknown, transient: boolean): void {
    this.#pause(creation, error, transient)();
  }

  /** Begins the pause after a failure. What is returned tells of it. */
  #pause({ startedAt }: Creation<T>, error: unknown, transient: boolean): () => void {
    if (this.#stopped) return () => this.#owner.changed();
    this.#backoff.failed(error, transient, startedAt, this.#clock.now());
    this.#events.emit("error", { error, source: "create" });
    return transient ? () => this.#owner.changed() : () => this.#owner.refused(error);
  }
}
