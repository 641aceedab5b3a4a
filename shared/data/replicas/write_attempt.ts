/**
 * One attempt at a write, and what its scope learns about it.
 *
 * @module
 */
import type { LeasedSession, LeaseOptions, WriteOptions } from "../../postgres/mod.ts";
import type { CallHooks } from "./replica_router.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import type { WrittenPosition } from "./wal_position.ts";

/** The least time between two statements that ask for the position while others are in flight, in ms. */
const ASK_INTERVAL_MS = 10;

type OnWalPosition = WriteOptions["onWalPosition"];

/** Options of a {@linkcode WriteAttempt}. */
export interface AttemptOptions {
  readonly written: WrittenPosition;
  /** True if the scope reads what it has written. */
  readonly isNoted: boolean;
  /** True for the function of a transaction. */
  readonly isFunction: boolean;
  /** The caller's own; see `WriteOptions`. */
  readonly onWalPosition: OnWalPosition;
  /** The time, in ms of the clock. */
  readonly now: number;
}

/**
 * An attempt at a write.
 *
 * The position behind a write is read in the same round trip, which keeps its connection busy for longer. So of statements
 * that are in flight at the same time, few ask for it, and every function does, which takes longer anyway. Under load, the
 * scopes of the other statements learn a position when they read; see `ScopeMarks`.
 */
export class WriteAttempt {
  readonly #primary: ReplicaTarget;
  readonly #written: WrittenPosition;
  readonly #onWalPosition: OnWalPosition;
  readonly #timeline: number;
  /** True if its scope reads what it has written. */
  readonly #isNoted: boolean;
  /** True if it asks for the position. */
  readonly #asks: boolean;
  /** True if it counts as one of the statements in flight. */
  readonly #counts: boolean;
  #isSent = false;
  #position: Promise<string | undefined> | undefined = undefined;

  constructor(primary: ReplicaTarget, { written, isNoted, isFunction, onWalPosition, now }: AttemptOptions) {
    this.#primary = primary;
    this.#written = written;
    this.#onWalPosition = onWalPosition;
    this.#timeline = primary.report?.timeline ?? 0;
    this.#isNoted = isNoted;
    const { statements, askedAt } = primary;
    const isDue = statements === 0 || now - askedAt >= ASK_INTERVAL_MS;
    this.#asks = isNoted && (isFunction || isDue || onWalPosition !== undefined);
    this.#counts = isNoted && !isFunction;
    if (!this.#counts) return;
    primary.statements++;
    if (this.#asks) primary.askedAt = now;
  }

  /** Returns the hooks of the call, with the check of its session. */
  hooks(own: LeaseOptions["admit"], check: (session: LeasedSession) => void): CallHooks {
    const admit = (session: LeasedSession) => {
      own?.(session);
      check(session);
      this.#isSent = true;
    };
    if (!this.#asks) return { admit };
    const onWalPosition = (arriving: Promise<string | undefined>) => {
      this.#position = arriving;
      this.#onWalPosition?.(arriving);
    };
    return { admit, onWalPosition };
  }

  /** Notes the write, whatever its outcome: one that failed may have been committed. */
  end(): void {
    const [primary, position] = [this.#primary, this.#position];
    if (position) {
      // A server that went down does not say it any more.
      this.#written.note(primary.guard(position).catch(() => undefined).finally(() => this.#uncount()), this.#timeline);
    } else {
      this.#uncount();
      if (this.#isSent && this.#isNoted) this.#written.noteUnknown();
    }
  }

  #uncount(): void {
    if (this.#counts) this.#primary.statements--;
  }
}

/** Returns a check of sessions by the caller's own and by another one. */
export function both(
  own: LeaseOptions["admit"],
  other: (session: LeasedSession) => void,
): (session: LeasedSession) => void {
  if (!own) return other;
  return (session) => {
    own(session);
    other(session);
  };
}
