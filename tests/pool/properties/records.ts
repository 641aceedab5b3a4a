/**
 * What is known of a pool from outside: what its factory was asked, what its
 * callers asked and were given.
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
  /** What it is about; a `create` has it once it has succeeded. */
  item: Item | undefined;
  readonly startedAt: number;
  /** When the pool gave the `create` up, as its signal says. */
  abortedAt: number | undefined;
  /** The pool waits for it no longer, its shutdown being over. */
  givenUp: boolean;
  /** Ends one that hangs. */
  finish: ((how: Ending) => void) | undefined;
}

/** How a call that hung ends. */
export type Ending = "well" | "badly" | "for good";

/** A resource, and all that is known of it. */
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
  /** In which turn it called `invalidate`. */
  diedIn: number | undefined = undefined;
  /** Its holder gave it back as broken. */
  broken = false;
  /** A `validate` or `reset` went wrong. */
  failed = false;
  /** It came after its creation had been given up. */
  late = false;
  /** It came when no slot was kept for it any more: closing it takes none. */
  slotless: boolean | "unknown" = false;
  destroys = 0;
  destroyed = false;
  holder: Grant | undefined = undefined;
  /** The `validate` or `reset` under way. */
  hook: Call | undefined = undefined;
  readonly invalidate: () => void;

  constructor(id: number, invalidate: () => void) {
    this.id = id;
    this.invalidate = invalidate;
  }

  /** Whether it called `invalidate`. */
  get invalid(): boolean {
    return this.diedIn !== undefined;
  }

  /** Neither closing nor closed. */
  get live(): boolean {
    return this.destroys === 0;
  }

  toString(): string {
    return `r${this.id}`;
  }
}

/** How many more may be leased, to `admin` and to the others. */
export interface Room {
  readonly admin: number;
  readonly others: number;
  /** Whether the two have separate accounts. */
  readonly separate: boolean;
}

/** A resource that was leased. */
export interface Grant {
  /** When it was seen: a promise says so a moment later. */
  readonly seq: number;
  /** The number of this lease, counting all that the pool ever leased; where it is not known it follows from the others. */
  order: number | undefined;
  readonly at: number;
  readonly item: Item;
  readonly acquire: Acquire;
  /** Not known of a resource that was acquired by itself. */
  readonly lease: Lease<Item> | undefined;
  /** As it was just before; found out with the order. */
  room: Room;
}

/** Somebody who asked for a resource. */
export interface Acquire {
  readonly name: string;
  readonly seq: number;
  /** In which turn it was asked for. */
  readonly turn: number;
  /** When the call that asked had returned: before that, it was not in the line. */
  entered: number;
  readonly how: "lease" | "acquire" | "tryLease";
  readonly lane: Lane;
  readonly since: number;
  readonly deadline: number;
  readonly abort: AbortController | undefined;
  /** How many waited before it, and how many resources were on their way; unknown where hooks interfered. */
  crowd: { readonly waiting: number; readonly pending: number } | undefined;
  /** Listeners on its signal. */
  listeners: number;
  state: "waiting" | "granted" | "refused";
  grant: Grant | undefined;
  error: unknown;
}
