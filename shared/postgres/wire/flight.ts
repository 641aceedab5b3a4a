/**
 * What is on its way to the server, as the connection sees it, and as whoever waits for it does.
 *
 * @module
 */
import type { Submittable } from "./driver.ts";
import type { QueryResult } from "./query_result.ts";

/** Statements on their way. */
export interface Running {
  /**
   * One result for each. Rejects with a `PostgresError` for what the server
   * reported, a `ConnectionLostError` when the connection broke before it
   * answered, a `ConnectionBrokenError` when it had broken before, or a
   * `StatementError` when one of them could not be sent, and so none was.
   */
  readonly results: Promise<QueryResult[]>;
  /** The index of the one that failed, once one has; -1 before, and when the connection broke. */
  readonly failedAt: number;
  /** Whether it is these that the server is at. */
  readonly runs: boolean;
  /** Whether they were sent at all. */
  readonly sent: boolean;
  /** Whether they are answered, or never will be. */
  readonly over: boolean;
  /** Whether the server ended them on request. */
  readonly canceled: boolean;
  /** Between which statements the server was once it had answered these. */
  readonly after: SessionStatus | undefined;
  /**
   * Whether they failed with this error through no fault of their own: a table
   * has changed since one was prepared, or a cancel request for another one
   * hit them. They had no effect and may be sent again, outside a transaction.
   */
  mayRepeat(error: unknown): boolean;
  /** Rejects the results now. What was sent goes on. */
  leave(reason: unknown): void;
}

/** What could not be sent. */
export function unsent(error: unknown): Running {
  const results = Promise.reject(error);
  const [sent, runs, over, canceled] = [false, false, true, false];
  return {
    results,
    failedAt: 0,
    after: undefined,
    sent,
    runs,
    over,
    canceled,
    mayRepeat: () => false,
    leave: () => {},
  };
}

/** What a backend is doing between statements (PostgreSQL, ReadyForQuery). */
export type SessionStatus = "idle" | "transaction" | "failed";

/** What is sent on one connection under one Sync. */
export interface Flight extends Submittable {
  /** The bytes that are to be sent, added to `out`. Called once. */
  encode(out: Uint8Array[]): void;
  /** What the server reported, if it failed. */
  readonly failure: object | undefined;
  /** All that was sent before it is answered: the server is at it. */
  begun(): void;
  /** The server has parsed a statement of it. */
  parsed?(): void;
  /** The server has bound a statement of it to its values. */
  bound?(): void;
  /**
   * It is over: the server is ready for what comes next.
   *
   * @param status Between which statements the server is now.
   * @param cancelling Whether a cancel request was under way, which may have hit it.
   */
  done(status: SessionStatus, cancelling: boolean): void;
  /** The connection broke. */
  lost(error: Error): void;
}
