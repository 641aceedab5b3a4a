/**
 * The errors that the server reports, and the driver's errors as callers and logs see them.
 *
 * An error of the server is passed on without the parts that may hold a row's values: `detail`, `where`, the failing
 * statement and its parameters.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import {
  codeOf,
  describeStatus,
  type ErrorCodes,
  type FailureKind,
  type HttpDescription,
  INTERNAL_ERROR,
  messageOf,
  sqlstateMeaning,
  textOf,
} from "../../resilience/mod.ts";
import { ConnectionError } from "./connection_error.ts";
import { poolerErrorOf } from "./pooler_error.ts";
import { tlsErrorOf } from "./tls_error.ts";

/** The codes of the errors of direct Postgres, beside SQLSTATEs and system codes. */
export type PostgresErrorCode = ErrorCodes<
  & typeof import("./caller_error.ts")
  & typeof import("./connection_error.ts")
  & typeof import("./pooler_error.ts")
  & typeof import("./server_error.ts")
  & typeof import("./statement_error.ts")
  & typeof import("./tls_error.ts")
  & typeof import("./transaction_error.ts")
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
