/**
 * A unit of capacity and the resource it holds.
 *
 * @module
 */
import type { LeaseOwner, LeaseRecord } from "./lease.ts";

/** What a slot's resource is doing. */
export type SlotState =
  | { readonly kind: "ready" }
  | { readonly kind: "idle" }
  | { readonly kind: "validating" }
  | { readonly kind: "resetting" }
  | { readonly kind: "closing" }
  | { readonly kind: "leased" };

/** Between two hands: whoever set this lends, keeps or closes it next. */
export const READY = Object.freeze({ kind: "ready" });
/** Free to be lent. */
export const IDLE = Object.freeze({ kind: "idle" });
/** `validate` is asked. */
export const VALIDATING = Object.freeze({ kind: "validating" });
/** `reset` is at work. */
export const RESETTING = Object.freeze({ kind: "resetting" });
/** Leased: see {@linkcode Slot.lease}. */
export const LEASED = Object.freeze({ kind: "leased" });
/** `destroy` is at work; there is no way back. */
export const CLOSING = Object.freeze({ kind: "closing" });

/** A resource and what the pool knows of it. */
export class Slot<T extends object> {
  readonly resource: T;
  /** The number of the resource in the events of the pool. */
  readonly id: number;
  /** Whom its leases are given back to. */
  readonly owner: LeaseOwner<T>;
  /** From this instant on it is not lent any more, in ms of the pool's clock; drawn once, at birth. */
  readonly expiresAt: number;
  /** How often it was lent. */
  uses = 0;
  /** When it was last used, or made. */
  usedAt: number;
  /** Whether that is only the latest reading of the clock before it came back. */
  usedAtGuessed = false;
  /** Until then it may be lent as it is, in ms of the pool's clock; from then on it is looked at first. */
  freshUntil: number;
  /** It died. Where it could not be closed at once (lent, validating, resetting), it is closed next. */
  invalid = false;
  state: SlotState = READY;
  /** The lease, while it is leased. */
  lease: LeaseRecord<T> | undefined = undefined;

  constructor(resource: T, id: number, owner: LeaseOwner<T>, now: number, expiresAt: number) {
    this.resource = resource;
    this.id = id;
    this.owner = owner;
    this.expiresAt = expiresAt;
    this.freshUntil = expiresAt;
    this.usedAt = now;
  }
}
