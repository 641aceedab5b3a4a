/**
 * A unit of capacity, and the resource it holds.
 *
 * ```text
 *                 .-> idle ----.
 *                 |            v
 *   (created) -> unassigned <--'   unassigned -> closing
 *                 ^   ^
 *                 |   '-> leased
 *                 '-----> in a hook
 * ```
 *
 * @module
 */
import type { AcquireLane } from "./lane.ts";
import type { LeaseRecord } from "./lease.ts";

// States are small integers: storing one needs no write barrier, which is worth 4 % of a lease.
/** A moment within one call: the code that brought it about leases, parks or closes next, or calls a hook. */
const UNASSIGNED = 0;
/** Free to be leased. */
const IDLE = 1;
/** Held by a lease. */
const LEASED = 2;
/** Being validated or reset. */
const IN_HOOK = 3;
/** Being destroyed; there is no way back. */
const CLOSING = 4;

const NAMES = ["unassigned", "idle", "leased", "in a hook", "closing"] as const;

/** The part of a pool that holds a slot. */
export interface SlotOwner<T extends object> {
  /** Takes a slot whose lease has ended. `destroy` says that its holder calls the resource broken. */
  release(lease: LeaseRecord<T>, slot: Slot<T>, lane: AcquireLane, destroy: boolean): void;
}

/** A resource and what the pool knows about it. Only the methods here change its state, each from the states it names. */
export class Slot<T extends object> {
  readonly resource: T;
  /** The number of the resource in the events of the pool. */
  readonly id: number;
  readonly owner: SlotOwner<T>;
  /** The instant of its creation, in ms of the pool's clock. */
  readonly createdAt: number;
  /** The end of its lifetime, in ms of the pool's clock. Drawn once, at birth. */
  readonly expiresAt: number;
  /** The number of its leases. */
  uses = 0;
  /** The instant of its last use, or of its creation, in ms of the pool's clock. */
  usedAt: number;
  /** True when `usedAt` is only the latest reading of the clock before the release. */
  usedAtIsEstimate = false;
  /** Until this instant it may be leased without validation, in ms of the pool's clock. */
  skipValidationUntil: number;
  /** True once the resource has reported its death. */
  invalid = false;

  #state: 0 | 1 | 2 | 3 | 4 = UNASSIGNED;
  #lease: LeaseRecord<T> | undefined = undefined;

  constructor(resource: T, id: number, owner: SlotOwner<T>, now: number, expiresAt: number) {
    this.resource = resource;
    this.id = id;
    this.owner = owner;
    this.createdAt = now;
    this.expiresAt = expiresAt;
    this.skipValidationUntil = expiresAt;
    this.usedAt = now;
  }

  /** True while it is free to be leased. */
  get idle(): boolean {
    return this.#state === IDLE;
  }

  /** True once it is being destroyed. */
  get closing(): boolean {
    return this.#state === CLOSING;
  }

  /** The lease, while it is leased. */
  get lease(): LeaseRecord<T> | undefined {
    return this.#lease;
  }

  /** From unassigned to leased. */
  assign(lease: LeaseRecord<T>): void {
    if (this.#state !== UNASSIGNED) throw this.#illegal(LEASED);
    this.#state = LEASED;
    this.#lease = lease;
    this.uses++;
  }

  /** From leased to unassigned. */
  unassign(): void {
    if (this.#state !== LEASED) throw this.#illegal(UNASSIGNED);
    this.#state = UNASSIGNED;
    this.#lease = undefined;
  }

  /** From unassigned to idle. */
  park(): void {
    if (this.#state !== UNASSIGNED) throw this.#illegal(IDLE);
    this.#state = IDLE;
  }

  /** From idle to unassigned. */
  unpark(): void {
    if (this.#state !== IDLE) throw this.#illegal(UNASSIGNED);
    this.#state = UNASSIGNED;
  }

  /** From unassigned into a hook. */
  beginHook(): void {
    if (this.#state !== UNASSIGNED) throw this.#illegal(IN_HOOK);
    this.#state = IN_HOOK;
  }

  /** From a hook to unassigned. */
  endHook(): void {
    if (this.#state !== IN_HOOK) throw this.#illegal(UNASSIGNED);
    this.#state = UNASSIGNED;
  }

  /** From unassigned to closing, for good. */
  close(): void {
    if (this.#state !== UNASSIGNED) throw this.#illegal(CLOSING);
    this.#state = CLOSING;
  }

  #illegal(to: 0 | 1 | 2 | 3 | 4): Error {
    return new Error(`Bug in the pool: a slot cannot go from ${NAMES[this.#state]} to ${NAMES[to]}`);
  }
}
