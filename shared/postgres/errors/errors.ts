/**
 * What goes wrong between us and Postgres, by name.
 *
 * An error of the server is passed on without what may hold a row's values:
 * `detail`, `where`, the failing statement and its parameters.
 *
 * @module
 */
import { messageOf, PoolError } from "../../pool/mod.ts";
import { poolerErrorOf } from "./pooler_error.ts";
import { tlsErrorOf } from "./tls_error.ts";

/** What of an error of the server is passed on. */
export interface PostgresErrorFields {
  /** SQLSTATE (PostgreSQL, appendix A). */
  readonly code: string;
  /** `ERROR`, `FATAL` or `PANIC`. */
  readonly severity: string | undefined;
  readonly hint: string | undefined;
  /** Where in the statement, in characters from 1. */
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;
  /** The server's function that raised it. */
  readonly routine: string | undefined;
}

function text(source: object, key: string): string | undefined {
  const value: unknown = Reflect.get(source, key);
  return typeof value === "string" ? value : undefined;
}

/** From the first quotation mark to the last, in whatever language the server speaks. */
const QUOTED = /["'`«»‹›„“”‚‘’「」『』].*["'`«»‹›„“”‚‘’「」『』]/s;

/**
 * Class 22, "data exception": its messages quote the value that did not fit.
 * 42601, "syntax error": it quotes what the text goes on with, literals included; `position` tells where.
 */
function withoutValues(code: string, message: string): string {
  return code.startsWith("22") || code === "42601" ? message.replace(QUOTED, '"…"') : message;
}

/** An error that the server reported. `code` is its SQLSTATE. */
export class PostgresError extends PoolError implements PostgresErrorFields {
  readonly severity: string | undefined;
  readonly hint: string | undefined;
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;
  readonly routine: string | undefined;

  /** @param source The message of the server, as the driver gives it. */
  constructor(source: object) {
    const code = text(source, "code") ?? "XX000";
    super(code, withoutValues(code, text(source, "message") ?? "The server gave no reason"));
    this.severity = text(source, "severity");
    this.hint = text(source, "hint");
    this.position = text(source, "position");
    this.schema = text(source, "schema");
    this.table = text(source, "table");
    this.column = text(source, "column");
    this.dataType = text(source, "dataType");
    this.constraint = text(source, "constraint");
    this.routine = text(source, "routine");
  }
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Whether the driver's error is one that the server sent. */
function isServerError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code = text(error, "code");
  return code !== undefined && SQLSTATE.test(code) && text(error, "severity") !== undefined;
}

/** An error of the socket or of TLS; it keeps the code, such as `ECONNREFUSED`. */
export class ConnectionError extends PoolError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/**
 * An error of the driver as callers and logs may see it. The original one is
 * kept nowhere: what it holds of rows goes with it.
 */
export function redacted(error: unknown): Error {
  if (error instanceof PoolError) return error;
  if (isServerError(error)) return poolerErrorOf(error) ?? new PostgresError(error);
  const code = error instanceof Error ? text(error, "code") : undefined;
  const message = messageOf(error);
  // The socket of a server that is down is a file that is not there.
  if (code === "ENOENT") return new ConnectionError("ECONNREFUSED", message);
  if (message.startsWith("Connection terminated")) {
    return new ConnectionError("CONNECTION_CLOSED", "The server closed the connection");
  }
  return tlsErrorOf(code, message) ?? new ConnectionError(code ?? "CONNECTION_FAILED", message);
}

/**
 * The connection broke after a statement was sent: whether the statement took
 * effect is not known. `cause` says how it broke.
 */
export class ConnectionLostError extends PoolError {
  constructor(cause: unknown) {
    super(
      "CONNECTION_LOST",
      `The connection broke before the statement was answered, so its effect is unknown: ${messageOf(cause)}. ` +
        "Look before you repeat it, or repeat it only if it may run twice",
      { cause },
    );
  }
}

/** The connection was broken before anything was sent on it. It had no effect. */
export class ConnectionBrokenError extends PoolError {
  constructor(cause: unknown) {
    super("CONNECTION_BROKEN", `The connection is broken and nothing was sent: ${messageOf(cause)}`, { cause });
  }
}

/** A statement, or a value of it, has no form in which it could be sent. Nothing was sent. */
export class StatementError extends PoolError {
  constructor(message: string) {
    super("STATEMENT_INVALID", message);
  }
}

/** A statement took longer than `timeoutMs`. It was cancelled at the server, or what it did is not known: see `message`. */
export class QueryTimeoutError extends PoolError {
  readonly #timeoutMs: number;

  /** @param cut Whether the server did not answer the cancel request either, so that the connection was cut. */
  constructor(timeoutMs: number, cut = false) {
    const end = cut
      ? "its connection was cut, since the server did not answer, so its effect is unknown: look before you repeat it"
      : "was cancelled: make it faster or allow it more";
    super("QUERY_TIMEOUT", `The statement took longer than ${timeoutMs} ms (timeoutMs) and ${end}`);
    this.#timeoutMs = timeoutMs;
  }

  /** The same for a statement whose connection had to be cut. */
  cut(): QueryTimeoutError {
    return new QueryTimeoutError(this.#timeoutMs, true);
  }
}

/** A transaction took longer than `timeoutMs`. It was rolled back. */
export class TransactionTimeoutError extends PoolError {
  constructor(timeoutMs: number) {
    super(
      "TRANSACTION_TIMEOUT",
      `The transaction took longer than ${timeoutMs} ms (timeoutMs) and was rolled back: do less in it or allow it more`,
    );
  }
}

/**
 * COMMIT was sent and not answered: the transaction may have been committed.
 * Its connection was destroyed. `cause` says what happened.
 */
export class CommitOutcomeUnknownError extends PoolError {
  constructor(cause: unknown) {
    super(
      "COMMIT_OUTCOME_UNKNOWN",
      `The transaction may or may not have been committed: ${messageOf(cause)}. ` +
        "Its connection was destroyed; look whether its effects are there before you repeat it",
      { cause },
    );
  }
}

/** COMMIT was answered with a rollback, since a statement had failed and its error was not passed on. */
export class TransactionRolledBackError extends PoolError {
  constructor(cause: unknown) {
    super(
      "TRANSACTION_ROLLED_BACK",
      "The transaction was rolled back at COMMIT, since one of its statements had failed: " +
        "let its error reach the end of the function, or run the statement in a nested transaction",
      { cause },
    );
  }
}

/** A transaction was used after it had been committed or rolled back. */
export class TransactionEndedError extends PoolError {
  constructor() {
    super("TRANSACTION_ENDED", "This transaction has ended and runs nothing any more: begin another one");
  }
}

/** A transaction was used while one nested in it is open. */
export class NestedTransactionOpenError extends PoolError {
  constructor() {
    super(
      "NESTED_TRANSACTION_OPEN",
      "A nested transaction is open: run this in the nested one, or await its end first",
    );
  }
}

/** A connection was used beside a transaction that is open on it, or in a transaction begun by a statement. */
export class TransactionOpenError extends PoolError {
  constructor() {
    super(
      "TRANSACTION_OPEN",
      "A transaction is open on this connection: run this in it, or await its end first",
    );
  }
}

/** A rollback failed, so the connection was destroyed; the server rolls back what was open on it. */
export class RollbackFailedError extends PoolError {
  constructor(cause: unknown) {
    super("ROLLBACK_FAILED", `The rollback failed and its connection was destroyed: ${messageOf(cause)}`, { cause });
  }
}

/** The caller to act as is none that this manager acts for. */
export class CallerError extends PoolError {
  constructor(message: string) {
    super("CALLER_INVALID", message);
  }
}

/** The login role could do more than a caller if a statement took off the caller's role. */
export class LoginRoleError extends PoolError {
  constructor(role: string, reason: string) {
    super(
      "LOGIN_ROLE_TOO_STRONG",
      `Statements as a caller are refused on the login role ${JSON.stringify(role)}, since it ${reason}: ` +
        "log in as a role like authenticator (NOINHERIT, no rights of its own), or name this one in trustedLogin",
    );
  }
}
