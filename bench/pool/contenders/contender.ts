/**
 * What is measured, as the cases see it.
 *
 * @module
 */

/** How a contender bounds an acquire in time. */
export type TimeoutKind =
  /** Not at all. */
  | "none"
  /** A timer to each acquire or each waiter. */
  | "each"
  /** One timer for all waiters. */
  | "shared";

/** What a contender is beside us. */
export type Role =
  /** The least that a pool of this language can cost. */
  | "floor"
  /** Ours. */
  | "ours"
  /** A pool of resources. */
  | "pool"
  /** A limit on concurrency, which lends nothing. */
  | "limiter";

/** A pool that lends things. */
export interface LendSession<R extends object = object> {
  readonly kind: "lend";
  /** Waits for a resource, or its lease. */
  acquire(): Promise<R>;
  /** Gives back what `acquire` gave. */
  release(lent: R): void;
  /** Ends it, with all it keeps alive. `held` is what is still lent, if anything is. */
  close(held?: R): Promise<void>;
}

/** A limit that runs tasks. */
export interface RunSession {
  readonly kind: "run";
  /** Runs a task when there is room for it. */
  run(task: () => void): Promise<void>;
  /** Ends it. */
  close(): Promise<void>;
}

/** A contender, made and ready. */
export type Session = LendSession | RunSession;

/** How a contender is made. */
export interface SessionOptions {
  /** How much it lends at once. */
  readonly slots: number;
  /** How long an acquire may wait, in ms, where the contender bounds it. */
  readonly timeoutMs: number;
}

/** One of those that are compared. */
export interface Contender {
  /** Its key in the results, and the name of its private copy of the driver. */
  readonly id: string;
  /** Its name in tables and plots. */
  readonly title: string;
  readonly role: Role;
  readonly timeout: TimeoutKind;
  /** Makes one. */
  open(options: SessionOptions): Session;
}

/** What is lent: as little as possible, so that the pools are compared and nothing else. */
export interface Thing {
  readonly id: number;
}

/** A maker of things. */
export function thingMaker(): () => Thing {
  let id = 0;
  return () => ({ id: id++ });
}
