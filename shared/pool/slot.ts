/**
 * A unit of capacity, and the resource it holds.
 *
 * ```text
 *                 .--> idle --.
 *                 |           v
 *   (created) -> unassigned <-'--> leased
 *                 ^  |  |  ^           |
 *                 |  |  |  '-----------'
 *     validating <'--'  '--> closing
 *     resetting
 * ```
 *
 * @module
 */
import type { LeaseRecord } from "./lease.ts";

/**
 * What the resource of a slot is doing. `unassigned` lasts for a moment: the
 * code that brought it about leases, parks, validates, resets or closes next.
 */
export type SlotState = "unassigned" | "idle" | "leased" | "validating" | "resetting" | "closing";

/** The part of a pool that holds a slot. */
export interface SlotOwner<T extends object> {
  /** Takes a slot whose lease has ended. `destroy` says that its holder calls the resource broken. */
  release(lease: LeaseRecord<T>, slot: Slot<T>, destroy: boolean): void;
}

/** A resource and what the pool knows about it. Only the methods here change its state, each from the states it names. */
export class Slot<T extends object> {
  readonly resource: T;
  /** The number of the resource in the events of the pool. */
  readonly id: number;
  readonly owner: SlotOwner<T>;
  /** The end of its lifetime, in ms of the pool's clock. Drawn once, at birth. */
  readonly expiresAt: number;
  /** The number of its leases. */
  uses = 0;
  /** When it was last used, or created, in ms of the pool's clock. */
  usedAt: number;
  /** True when `usedAt` is only the latest reading of the clock before the release. */
  usedAtIsEstimate = false;
  /** Until this instant it may be leased without validation, in ms of the pool's clock. */
  skipValidationUntil: number;
  /** True once the resource has reported its death. */
  invalid = false;

  #state: SlotState = "unassigned";
  #lease: LeaseRecord<T> | undefined = undefined;

  constructor(resource: T, id: number, owner: SlotOwner<T>, now: number, expiresAt: number) {
    this.resource = resource;
    this.id = id;
    this.owner = owner;
    this.expiresAt = expiresAt;
    this.skipValidationUntil = expiresAt;
    this.usedAt = now;
  }

  /** What the resource is doing. */
  get state(): SlotState {
    return this.#state;
  }

  /** The lease, while it is leased. */
  get lease(): LeaseRecord<T> | undefined {
    return this.#lease;
  }

  /** `unassigned` to `leased`. */
  assign(lease: LeaseRecord<T>): void {
    if (this.#state !== "unassigned") throw illegal(this.#state, "leased");
    this.#state = "leased";
    this.#lease = lease;
    this.uses++;
  }

  /** `leased` to `unassigned`. */
  unassign(): void {
    if (this.#state !== "leased") throw illegal(this.#state, "unassigned");
    this.#state = "unassigned";
    this.#lease = undefined;
  }

  /** `unassigned` to `idle`. */
  park(): void {
    if (this.#state !== "unassigned") throw illegal(this.#state, "idle");
    this.#state = "idle";
  }

  /** `idle` to `unassigned`. */
  unpark(): void {
    if (this.#state !== "idle") throw illegal(this.#state, "unassigned");
    this.#state = "unassigned";
  }

  /** `unassigned` to `validating` or `resetting`. */
  beginHook(state: "validating" | "resetting"): void {
    if (this.#state !== "unassigned") throw illegal(this.#state, state);
    this.#state = state;
  }

  /** `validating` or `resetting` to `unassigned`. */
  endHook(): void {
    if (this.#state !== "validating" && this.#state !== "resetting") throw illegal(this.#state, "unassigned");
    this.#state = "unassigned";
  }

  /** `unassigned` to `closing`, for good. */
  close(): void {
    if (this.#state !== "unassigned") throw illegal(this.#state, "closing");
    this.#state = "closing";
  }
}

function illegal(from: SlotState, to: SlotState): Error {
  return new Error(`Bug in the pool: a slot cannot go from ${from} to ${to}`);
}
