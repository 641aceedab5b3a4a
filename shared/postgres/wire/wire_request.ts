/**
 * Requests in flight: the interface of the connection that sends them, and that of the caller who waits.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { toError } from "../../resilience/mod.ts";
import type { MessageWriter } from "./message_writer.ts";
import type { ColumnMessage } from "./messages.ts";
import type { QueryResult } from "./query_result.ts";

/** Statements in flight, for the caller who waits for them. */
export interface PendingResult {
  /**
   * One result per statement. Rejects with a `PostgresError` for what the server reported, a `ConnectionLostError`
   * when the connection broke before it answered, a `ConnectionBrokenError` when it had broken before, or a
   * `StatementError` when a statement could not be sent, so that none was.
   */
  readonly results: Promise<QueryResult[]>;
  /** The error that they failed with, if any: before `results` rejects with it. */
  readonly error: Error | undefined;
  /** The index of the statement that failed; -1 before one has, and when the connection broke. */
  readonly failedAt: number;
  /** True if they were sent. */
  readonly sent: boolean;
  /** True once they are answered, or never will be. */
  readonly settled: boolean;
  /** True if the server ended them on a cancel request. */
  readonly canceled: boolean;
  /** The status of the server once it had answered them. */
  readonly statusAfter: SessionStatus | undefined;
  /**
   * Returns whether they failed with this error without having had an effect, because a table has changed since a statement
   * was prepared, or because a cancel request for another statement hit them. They may be sent again, outside a
   * transaction.
   */
  isSafeToResend(error: unknown): boolean;
  /** Called once when their rows are too large: they must be ended. Without it, the connection is closed instead. */
  onTooLarge: ((error: Error) => void) | undefined;
  /** Rejects the results now. The server still runs what was sent. */
  detach(reason: unknown): void;
}

/** Returns the result of statements that could not be sent. */
export function unsent(error: unknown): PendingResult {
  const results = Promise.reject(error);
  return {
    results,
    error: toError(error),
    failedAt: 0,
    statusAfter: undefined,
    sent: false,
    settled: true,
    canceled: false,
    onTooLarge: undefined,
    isSafeToResend: () => false,
    detach: () => {},
  };
}

/** The status of a backend between statements (PostgreSQL, ReadyForQuery). */
export type SessionStatus = "idle" | "transaction" | "failed";

/**
 * A request on one connection, under one Sync. It appends what to send to the writer of the connection, which checks
 * that the responses come in the order in which they were asked for.
 */
export interface WireRequest {
  /**
   * Encodes what can be sent now.
   *
   * @param withdrawable Whether it may throw, after removing all of it. Otherwise it reports the error as its result.
   * @returns whether that is all of it. Otherwise the rest follows a response, and nothing else may be sent before.
   */
  send(out: MessageWriter, withdrawable: boolean): boolean;
  /** The error that the server reported, if any. */
  readonly failure: Error | undefined;
  /** The number of statements that the server has bound to their values: before that, nothing of a statement has run. */
  boundStatements: number;
  /** Called when the server has parsed one of its statements. */
  handleParseComplete?(): void;
  /** Called with the oids of the types of a statement's parameters. */
  handleParameterDescription?(oids: readonly number[]): void;
  /** Called with the columns of a statement. */
  handleRowDescription(columns: readonly ColumnMessage[]): void;
  /** Called instead, when a described statement returns no rows. */
  handleNoData?(): void;
  /**
   * Called for each row: the body of a DataRow, from `start` to `end` of `bytes`, which are valid until it returns.
   *
   * @throws {ConnectionError} when the row is malformed: the connection is closed.
   */
  handleDataRow(bytes: Buffer, start: number, end: number): void;
  /**
   * Called once when its rows are too large. Those that follow are skipped.
   *
   * @returns whether it is being ended. Otherwise the connection is closed.
   */
  handleTooLarge?(error: Error): boolean;
  /** Called when a statement has run, with its command tag; an empty tag for an empty statement. */
  handleCommandComplete(tag: string): void;
  /** Called with the error that the server reported. It runs nothing of what remains of the request. */
  handleError(error: Error): void;
  /**
   * Called when the server has answered it and is ready for the next request.
   *
   * @param status The status of the server now.
   * @param canceling Whether a cancel request was in flight, which may have hit it.
   * @param durationMs How long the server took, in ms.
   */
  onComplete(status: SessionStatus, canceling: boolean, durationMs: number): void;
  /** Called when the connection broke before the answer was complete. */
  onLost(error: Error): void;
}
