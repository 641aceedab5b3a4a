/**
 * The records of a model: the calls of the factory, the acquires and the leases.
 *
 * @module
 */
import type { Lane, Lease } from "../../../shared/pool/mod.ts";

/** The hooks of a factory. */
export type Hook = "create" | "validate" | "reset" | "destroy";

/** One call of a hook. */
export interface Call {
  readonly hook: Hook;
  readonly name: string;
  /** True when it was called for a probe. */
  readonly forProbe: boolean;
  /** The resource; a `create` has it once it has succeeded. */
  item: Item | undefined;
  readonly startedAt: number;
  /** The time at which the signal of the `create` aborted. */
  abortedAt: number | undefined;
  /** `true` if the shutdown ended without waiting for it. */
  givenUp: boolean;
  /** Settles a call that hangs. */
  finish: ((how: Ending) => void) | undefined;
}

/** The outcome of a call that hung. */
export type Ending = "well" | "badly" | "for good";

/** A resource and its history. */
export class Item {
  readonly id: number;
  /** True when it was created for a probe. */
  forProbe = false;
  bornAt = NaN;
  expiresAt = Infinity;
  checkedAt = NaN;
  usedAt = NaN;
  closedAt = NaN;
  uses = 0;
  /** The turn in which it called `invalidate`. */
  diedIn: number | undefined = undefined;
  /** `true` if its holder released it with `destroy`. */
  broken = false;
  /** `true` if a `validate` or `reset` failed. */
  failed = false;
  /** `true` if it arrived after its creation timed out. */
  late = false;
  /** `true` if it arrived after its slot was freed: its destruction takes no slot. */
  slotless: boolean | "unknown" = false;
  destroys = 0;
  destroyed = false;
  holder: Grant | undefined = undefined;
  /** The running `validate` or `reset`. */
  hook: Call | undefined = undefined;
  readonly invalidate: () => void;

  constructor(id: number, invalidate: () => void) {
    this.id = id;
    this.invalidate = invalidate;
  }

  /** `true` once it called `invalidate`. */
  get invalid(): boolean {
    return this.diedIn !== undefined;
  }

  /** `true` until it is destroyed. */
  get live(): boolean {
    return this.destroys === 0;
  }

  toString(): string {
    return `r${this.id}`;
  }
}

/** The number of further leases for `admin` and for the other lanes. */
export interface Room {
  readonly admin: number;
  readonly others: number;
  /** `true` if the two are counted separately. */
  readonly separate: boolean;
}

/** A resource that was leased. */
export interface Grant {
  /** The sequence number at which it was received, a moment after the grant. */
  readonly seq: number;
  /** The number of this lease among all of the pool; if unknown, it follows from the others. */
  order: number | undefined;
  readonly at: number;
  readonly item: Item;
  readonly acquire: Acquire;
  /** The lease; `undefined` after `acquire`. */
  readonly lease: Lease<Item> | undefined;
  /** The room just before the grant, known with the order. */
  room: Room;
}

/** The weights of the flows of scripts. Acquires without a flow have the empty name. */
export const WEIGHTS = Object.freeze({ "": 1, a: 1, b: 1, c: 2 });

/** The name of a flow. */
export type FlowName = keyof typeof WEIGHTS;

/** A request for a resource. */
export interface Acquire {
  readonly name: string;
  readonly seq: number;
  /** The turn of the call. */
  readonly turn: number;
  /** The sequence number at which the call returned; it was not in the queue before. */
  entered: number;
  readonly how: "lease" | "acquire" | "tryLease";
  readonly lane: Lane;
  readonly flow: FlowName;
  readonly since: number;
  readonly deadline: number;
  readonly abort: AbortController | undefined;
  /** The number of earlier waiters and of pending resources; unknown if hooks interfered. */
  queue: { readonly waiting: number; readonly pending: number } | undefined;
  /** The number of listeners on its signal. */
  listeners: number;
  state: "waiting" | "granted" | "refused";
  grant: Grant | undefined;
  error: unknown;
}
