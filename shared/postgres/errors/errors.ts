/**
 * The errors of direct Postgres connections.
 *
 * An error of the server is passed on without the parts that may hold a row's values: `detail`, `where`, the failing
 * statement and its parameters.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import {
  classifyFailure,
  codeOf,
  describeStatus,
  type ErrorCodes,
  type FailureKind,
  type HttpDescription,
  INTERNAL_ERROR,
  messageOf,
  type RefusalReason,
  refusalResponse,
  SERVICE_UNAVAILABLE,
  sqlstateMeaning,
  textOf,
  UPSTREAM_FAILURE,
  UPSTREAM_TIMEOUT,
} from "../../resilience/mod.ts";
import { poolerErrorOf } from "./pooler_error.ts";
import { tlsErrorOf } from "./tls_error.ts";

/** The codes of the errors of direct Postgres, beside SQLSTATEs and system codes. */
export type PostgresErrorCode = ErrorCodes<
  & typeof import("./errors.ts")
  & typeof import("./connect_error.ts")
  & typeof import("./pooler_error.ts")
  & typeof import("./tls_error.ts")
  & typeof import("../types/value_error.ts")
>;

/** The parts of an error of the server that are passed on. */
export interface PostgresErrorFields {
  /** SQLSTATE (PostgreSQL, appendix A). */
  readonly code: string;
  /** `ERROR`, `FATAL` or `PANIC`. */
  readonly severity: string | undefined;
  /** The server's advice. */
  readonly hint: string | undefined;
  /** The position in the statement, in characters from 1. */
  readonly position: string | undefined;
  /** The schema of the table, column or constraint. */
  readonly schema: string | undefined;
  /** The table. */
  readonly table: string | undefined;
  /** The column. */
  readonly column: string | undefined;
  /** The data type. */
  readonly dataType: string | undefined;
  /** The constraint that was violated. */
  readonly constraint: string | undefined;
  /** The function of the server that raised it. */
  readonly routine: string | undefined;
}

/** From the first quotation mark to the last, in any language of the server. The escapes are curly, angle and corner quotation marks. */
const QUOTED = /["'`«»\u2018-\u201f\u2039\u203a\u300c-\u300f].*["'`«»\u2018-\u201f\u2039\u203a\u300c-\u300f]/s;

/**
 * Removes quoted values from messages of class 22 (data exception), which quote the value that did not fit, and of
 * 42601 (syntax error), which quotes the rest of the statement, literals included; `position` shows the place.
 */
function withoutValues(code: string, message: string): string {
  return code.startsWith("22") || code === "42601" ? message.replace(QUOTED, '"\u2026"') : message;
}

/**
 * An error that the server reported. `code` is its SQLSTATE.
 *
 * The Data API's rules decide the HTTP status: 409 for a unique violation, 403 for a missing privilege, and so on.
 *
 * @cause The server rejected the statement or ended the connection: see the SQLSTATE.
 * @fix Read the message and `hint`, and look the SQLSTATE up in PostgreSQL's appendix A.
 * @sample new PostgresError({ code: "23505", severity: "ERROR", message: "duplicate key violates unique constraint" })
 */
export class PostgresError extends PoolError implements PostgresErrorFields {
  /** Stands for every SQLSTATE: that of an instance is its `code`. */
  static override readonly code = "SQLSTATE";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  readonly severity: string | undefined;
  readonly hint: string | undefined;
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;
  readonly routine: string | undefined;

  /**
   * Creates the error.
   *
   * @param source The server's message, as the driver passes it on.
   */
  constructor(source: object) {
    const code = codeOf(source) ?? "XX000";
    const message = withoutValues(code, textOf(source, "message") ?? "The server gave no reason");
    super(message, undefined, code as Uppercase<string>);
    this.severity = textOf(source, "severity");
    this.hint = textOf(source, "hint");
    this.position = textOf(source, "position");
    this.schema = textOf(source, "schema");
    this.table = textOf(source, "table");
    this.column = textOf(source, "column");
    this.dataType = textOf(source, "dataType");
    this.constraint = textOf(source, "constraint");
    this.routine = textOf(source, "routine");
  }

  /** The retry class of its SQLSTATE. */
  override get retry(): FailureKind | undefined {
    return sqlstateMeaning(this.code)?.retry;
  }

  /** The response the Data API would give. Of a failure of the server it says nothing more. */
  override get http(): HttpDescription {
    const status = sqlstateMeaning(this.code)?.status;
    if (status === undefined) return INTERNAL_ERROR;
    if (status >= 500) return { ...describeStatus(status), detail: "The database could not complete the request" };
    return { ...describeStatus(status), detail: this.message, hint: this.hint };
  }
}

/** RAISE can set any five letters and digits. */
const SERVER_CODE = /^[0-9A-Z]{5}$/;

/** Returns whether the driver's error is one that the server sent. */
function isServerError(error: unknown): error is Error {
  return error instanceof Error && SERVER_CODE.test(codeOf(error) ?? "") && textOf(error, "severity") !== undefined;
}

const UNREACHABLE = { ...SERVICE_UNAVAILABLE, detail: "The database could not be reached" };

/**
 * An error of the socket or of TLS. `code` is the system's, such as `ECONNREFUSED`, or one of this class:
 * `CONNECTION_FAILED`, `CONNECTION_CLOSED`, `PROTOCOL_ERROR`, `AUTHENTICATION_UNSUPPORTED`,
 * `CLIENT_ENCODING_UNSUPPORTED`, `COPY_UNSUPPORTED`.
 *
 * @cause The server is down, the host or port is wrong, or the network failed.
 * @fix Check host, port and that the server is up.
 * @sample new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:5432")
 */
export class ConnectionError extends PoolError {
  /** The code of a failure that has none of its own. */
  static override readonly code = "CONNECTION_FAILED";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param code The code of the error.
   */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options, code as Uppercase<string>);
  }

  /** The response to it: a server that is down or unreachable may be back in a moment. */
  override get http(): HttpDescription {
    return classifyFailure(this) === "permanent" ? INTERNAL_ERROR : UNREACHABLE;
  }
}

/** Returns the messages of the attempts to reach each address of a host: together they have none. */
function reasonsOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : "";
}

/**
 * The message of `pg` when the server answers neither `S` nor `N`, or more: what it says is not authenticated, and
 * is not read (CVE-2021-23222, CVE-2024-10977).
 */
const NO_ANSWER_TO_TLS = "There was an error establishing an SSL connection";

/**
 * Returns an error of the driver as callers and logs may see it. The original is not kept: it may hold values of rows.
 */
export function redacted(error: unknown): Error {
  if (error instanceof PoolError) return error;
  if (isServerError(error)) return poolerErrorOf(error) ?? new PostgresError(error);
  const code = error instanceof Error ? codeOf(error) : undefined;
  const message = messageOf(error) || reasonsOf(error);
  // The socket file of a server that is down does not exist.
  if (code === "ENOENT") return new ConnectionError("ECONNREFUSED", message);
  if (message.startsWith("Connection terminated")) {
    return new ConnectionError("CONNECTION_CLOSED", "The server closed the connection");
  }
  if (message === NO_ANSWER_TO_TLS) {
    return new ConnectionError(
      "PROTOCOL_ERROR",
      "The server answered the request for TLS with neither yes nor no: it refuses connections now, or host and port " +
        "are not those of Postgres or a pooler",
    );
  }
  return tlsErrorOf(code, message) ?? new ConnectionError(code ?? ConnectionError.code, message);
}

const UNKNOWN_EFFECT = {
  ...UPSTREAM_FAILURE,
  detail: "The connection to the database broke: it is unknown whether the request took effect",
};

const DATABASE_TIMEOUT = { ...UPSTREAM_TIMEOUT, detail: "The database did not respond in time" };

/** The advice for work whose effect is unknown. */
const CHECK_EFFECT = "Check its effect before retrying, or retry only if it is idempotent";

/**
 * The connection broke after a statement was sent: it is unknown whether the statement took effect. `cause` says how
 * the connection broke.
 *
 * @cause The server was restarted, the network failed, or the connection was terminated.
 * @fix Check the statement's effect before retrying, or mark it `idempotent`.
 * @sample new ConnectionLostError(new Error("read ECONNRESET"))
 */
export class ConnectionLostError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECTION_LOST";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNKNOWN_EFFECT;

  /**
   * Creates the error.
   *
   * @param cause The error of the socket.
   */
  constructor(cause: unknown) {
    super(
      `The connection broke before the statement had a result, so its effect is unknown: ${messageOf(cause)}. ` +
        CHECK_EFFECT,
      { cause },
    );
  }
}

/**
 * The connection was broken before anything was sent on it: nothing took effect.
 *
 * @cause The server closed an idle connection.
 * @fix Retry.
 * @sample new ConnectionBrokenError(new Error("read ECONNRESET"))
 */
export class ConnectionBrokenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECTION_BROKEN";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    ...SERVICE_UNAVAILABLE,
    detail: "The connection to the database broke",
  };

  /**
   * Creates the error.
   *
   * @param cause The error that broke the connection.
   */
  constructor(cause: unknown) {
    super(`The connection is broken and nothing was sent: ${messageOf(cause)}`, { cause });
  }
}

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

/**
 * A transaction took longer than `timeoutMs` and was rolled back.
 *
 * @cause The transaction does too much, or waits for a lock.
 * @fix Do less in the transaction, or raise `timeoutMs`.
 * @sample new TransactionTimeoutError(30_000)
 */
export class TransactionTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = DATABASE_TIMEOUT;

  /**
   * Creates the error.
   *
   * @param timeoutMs The time limit, in ms.
   */
  constructor(timeoutMs: number) {
    super(
      `The transaction took longer than ${timeoutMs} ms (timeoutMs) and was rolled back: do less in it, or raise timeoutMs`,
    );
  }
}

/**
 * COMMIT was sent and had no result: the transaction may have been committed. Its connection was destroyed; `cause`
 * says what happened.
 *
 * @cause The connection broke during COMMIT.
 * @fix Check whether the transaction's effects exist before retrying, or mark it `idempotent`.
 * @sample new CommitOutcomeUnknownError(new Error("read ECONNRESET"))
 */
export class CommitOutcomeUnknownError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "COMMIT_OUTCOME_UNKNOWN";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNKNOWN_EFFECT;

  /**
   * Creates the error.
   *
   * @param cause The error of the COMMIT.
   */
  constructor(cause: unknown) {
    super(
      `The transaction may or may not have been committed: ${messageOf(cause)}. Its connection was destroyed. ` +
        CHECK_EFFECT,
      { cause },
    );
  }
}

/**
 * COMMIT became a rollback: a statement had failed, and its error did not reach the end of the function.
 *
 * @cause The function caught the error of a statement and returned.
 * @fix Let the error propagate, or run the statement in a nested transaction.
 * @sample new TransactionRolledBackError(new Error("duplicate key"))
 */
export class TransactionRolledBackError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_ROLLED_BACK";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param cause The error that the function did not throw.
   */
  constructor(cause: unknown) {
    super(
      "The transaction was rolled back at COMMIT because one of its statements had failed: let its error propagate, " +
        "or run the statement in a nested transaction",
      { cause },
    );
  }
}

/**
 * A transaction was used after it had been committed or rolled back.
 *
 * @cause A statement was not awaited before the transaction's function returned, or the transaction was kept.
 * @fix Await every statement inside the function, and begin another transaction for more.
 * @sample new TransactionEndedError()
 */
export class TransactionEndedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_ENDED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot use this transaction: it has ended. Begin another one");
  }
}

/**
 * A transaction was used while one nested in it is open.
 *
 * @cause A statement of the outer transaction ran inside the nested one's function.
 * @fix Run the statement in the nested transaction, or await its end.
 * @sample new NestedTransactionOpenError()
 */
export class NestedTransactionOpenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "NESTED_TRANSACTION_OPEN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot use this transaction: a nested one is open. Run this in the nested one, or await its end first");
  }
}

/**
 * A connection was used beside a transaction that is open on it, or in a transaction begun by a statement.
 *
 * @cause A statement of the connection ran while its transaction was open.
 * @fix Run the statement in the transaction, or await its end.
 * @sample new TransactionOpenError()
 */
export class TransactionOpenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_OPEN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot use this connection: a transaction is open on it. Run this in it, or await its end first");
  }
}

/**
 * A rollback failed, so its connection was destroyed; the server rolls back the open transaction.
 *
 * @cause The connection broke during ROLLBACK.
 * @fix Read `cause`. The transaction took no effect.
 * @sample new RollbackFailedError(new Error("read ECONNRESET"))
 */
export class RollbackFailedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ROLLBACK_FAILED";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param cause The error of the ROLLBACK.
   */
  constructor(cause: unknown) {
    super(`The rollback failed and its connection was destroyed: ${messageOf(cause)}`, { cause });
  }
}

/**
 * The manager cannot act for this caller.
 *
 * Its HTTP status is 401 for a token that has expired, 403 for a role other than `anon` and `authenticated`, 400 for
 * claims that are nested too deeply, and 500 otherwise.
 *
 * @cause The claims are not those of a verified token of role `anon` or `authenticated`, or the token has expired.
 * @fix Pass `{ claims }` of a verified, current token, or `"anonymous"`.
 * @sample new CallerError("The sub claim must be the user's id")
 */
export class CallerError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CALLER_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** The reason, which decides the HTTP status. */
  readonly reason: RefusalReason;

  /**
   * Creates the error.
   *
   * @param reason Default: `mistake`, of the program.
   */
  constructor(message: string, reason: RefusalReason = "mistake") {
    super(message);
    this.reason = reason;
  }

  /** The HTTP response by the reason. */
  override get http(): HttpDescription {
    return refusalResponse(this.reason);
  }
}

/**
 * A setting of a caller's role cannot be applied. It is left out; only the manager's event `error` shows this error.
 *
 * @cause The login role may not set the parameter, or the parameter does not exist any more.
 * @fix `GRANT SET ON PARAMETER` to the login role (Postgres 15 and later), or `ALTER ROLE ... RESET` the setting.
 * @sample new RoleSettingError("log_min_duration_statement", new Error("permission denied to set parameter"))
 */
export class RoleSettingError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ROLE_SETTING_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param name The parameter; `undefined` where the settings of all callers' roles could not be read.
   */
  constructor(name: string | undefined, cause: unknown) {
    const what = name === undefined ? "Cannot read the settings of callers' roles" : `Cannot apply ${name} of a role`;
    super(`${what}, which runs without: ${messageOf(cause)}`, { cause });
  }
}

/**
 * The login role has more rights than a caller may reach if a statement resets the role.
 *
 * @cause `DB_USER` is a superuser or owns rights of its own, such as `postgres`.
 * @fix Log in as a role like `authenticator` (NOINHERIT, no rights of its own), or name the role in `trustedLogin`.
 * @sample new LoginRoleError("postgres", "is a superuser")
 */
export class LoginRoleError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LOGIN_ROLE_TOO_STRONG";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param role The login role.
   * @param reason The right that it has or lacks.
   */
  constructor(role: string, reason: string) {
    super(
      `Cannot run as a caller on login role ${JSON.stringify(role)} because it ${reason}: ` +
        "log in as a role like authenticator (NOINHERIT, no rights of its own), or name this one in trustedLogin",
    );
  }
}
