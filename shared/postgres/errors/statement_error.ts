/**
 * The errors of statements.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR, UPSTREAM_TIMEOUT } from "../../resilience/mod.ts";
import { CHECK_EFFECT } from "./connection_error.ts";

/** The response to a request that the database took too long for. */
export const DATABASE_TIMEOUT: HttpDescription = {
  ...UPSTREAM_TIMEOUT,
  detail: "The database did not respond in time",
};

/**
 * A statement or one of its values cannot be sent. Nothing was sent.
 *
 * @cause The statement controls a transaction, uses COPY, leaves state on a pooler's connection, or has a bad value.
 * @fix Use what the message names instead.
 * @sample new StatementError("The values of a statement must be an array of at most 65535 elements")
 */
export class StatementError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "STATEMENT_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;
}

/**
 * A result is larger than `maxResultBytes`. The statement was canceled without reading the rest. A single statement or
 * a list may have taken effect; a transaction with a function is rolled back.
 *
 * @cause The statement returns more rows, or longer values, than may be held in memory at once.
 * @fix Select fewer rows and columns, or in pages; or raise `maxResultBytes`.
 * @sample new ResultTooLargeError(134_217_728)
 */
export class ResultTooLargeError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "RESULT_TOO_LARGE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param maxResultBytes The limit, in bytes.
   */
  constructor(maxResultBytes: number) {
    super(
      `The result is larger than maxResultBytes (${maxResultBytes}), so the statement was canceled without reading ` +
        "the rest: select fewer rows and columns, or in pages",
    );
  }
}

/** The ends of a statement that took too long. */
const TIMEOUT_ENDS = {
  canceled: "was canceled: make it faster, or raise timeoutMs",
  closed: "the server did not respond to its cancellation. The connection was closed, so its effect is unknown. " +
    CHECK_EFFECT,
  left:
    "waited behind other statements on its connection. It only reads: the server may still run it, and its result " +
    "is dropped. Raise timeoutMs, or maxConnections",
};

/**
 * A statement took longer than `timeoutMs`. The server canceled it, or had not begun it, or its effect is unknown: the message says
 * which.
 *
 * @cause The statement is slow, waits for a lock, or the server does not respond.
 * @fix Make the statement faster, or raise `timeoutMs` (`queryTimeoutMs`, `DB_QUERY_TIMEOUT`).
 * @sample new QueryTimeoutError(30_000)
 */
export class QueryTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "QUERY_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = DATABASE_TIMEOUT;

  readonly #timeoutMs: number;

  /**
   * Creates the error.
   *
   * @param end The end of the statement. Default: it was canceled.
   */
  constructor(timeoutMs: number, end: "canceled" | "closed" | "left" = "canceled") {
    super(`The statement took longer than ${timeoutMs} ms (timeoutMs) and ${TIMEOUT_ENDS[end]}`);
    this.#timeoutMs = timeoutMs;
  }

  /** Returns the same error for a statement with another end. */
  withEnd(end: "canceled" | "closed" | "left"): QueryTimeoutError {
    return new QueryTimeoutError(this.#timeoutMs, end);
  }
}
