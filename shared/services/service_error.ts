/**
 * The error of a failed call to the project.
 *
 * @module
 */
import {
  attemptsOf,
  describeStatus,
  type ErrorCodes,
  type FailedAttempt,
  type FailureKind,
  type HttpDescription,
  RetryTimeoutError,
  SERVICE_UNAVAILABLE,
  UPSTREAM_FAILURE,
} from "../resilience/mod.ts";

/** The contents of a {@linkcode ServiceError}. */
export interface ServiceErrorInit {
  /** The code of the Data API or of Postgres, or one of this library or the application; stable. */
  readonly code: string;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The message. The caller may read it. */
  readonly message: string;
  /** The way to fix it. Default: none. */
  readonly hint?: string | undefined;
  /** The error behind it. Default: none. */
  readonly cause?: unknown;
  /** The wait before the next attempt that the project asked for, in ms. Default: none. */
  readonly retryAfterMs?: number | undefined;
}

/** The codes that a {@linkcode ServiceError} has beside those of Postgres, PostgREST and the application. */
export type ServiceErrorCode = ErrorCodes<typeof import("./service_error.ts")> | typeof RetryTimeoutError.code;

/**
 * A call to the project failed. `message` and `hint` may be shown to the caller; the `details` of a Postgres error are
 * left out, because they hold values of rows.
 *
 * `code` and HTTP status are those of the Data API: a SQLSTATE or a code of PostgREST (`PGRST...`).
 *
 * @cause The Data API, Auth, Storage or a function rejected the call.
 * @fix Read the message and `hint`, and look the code up in the references of PostgREST or PostgreSQL.
 * @sample new ServiceError({ code: "23505", status: 409, message: "duplicate key value violates unique constraint" })
 */
export class ServiceError extends Error {
  /** Stands for every code of the Data API: that of an instance is its `code`. */
  static readonly code: string = "DATA_API";
  /** The code decides. */
  static readonly retry: FailureKind | undefined = undefined;
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = UPSTREAM_FAILURE;

  /** A SQLSTATE, a code of PostgREST (`PGRST...`), one of {@linkcode ServiceErrorCode} or of the application; stable. */
  readonly code: string;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The way to fix it. */
  readonly hint: string | undefined;
  /** The wait before the next attempt that the project asked for (`Retry-After`), in ms; `undefined` for none. */
  readonly retryAfterMs: number | undefined;

  /** Creates an error with the code and status of a failed call. */
  constructor({ code, status, message, hint, cause, retryAfterMs }: ServiceErrorInit) {
    super(message, cause === undefined ? {} : { cause });
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.hint = hint;
    this.retryAfterMs = retryAfterMs;
  }

  /** The retry class, as `classifyFailure` reads it; `undefined`: code, status or cause decide. */
  get retry(): FailureKind | undefined {
    return (this.constructor as typeof ServiceError).retry;
  }

  /** The attempts of an operation that was retried, the earliest first and at most ten; empty for any other. */
  get attempts(): readonly FailedAttempt[] {
    return attemptsOf(this);
  }

  /** The HTTP response to the error. */
  get http(): HttpDescription {
    const known = Number.isInteger(this.status) && this.status >= 400 && this.status <= 599;
    const { status, code, message: detail, hint } = this;
    const section = isDatabaseCode(code) ? ServiceError.code : isOwnCode(this, code) ? code : "";
    return { ...describeStatus(known ? status : UPSTREAM_FAILURE.status), detail, hint, section };
  }
}

/** Returns whether a code is one of PostgREST or a SQLSTATE, which may be shown for failures of the server, too. */
export function isDatabaseCode(code: string): boolean {
  return /^(PGRST\w{3}|(?=.*\d)[0-9A-Z]{5})$/.test(code);
}

/** Returns whether a code is one of this library: docs/errors.md has it, unlike a code of the application. */
function isOwnCode(error: ServiceError, code: string): boolean {
  return code === (error.constructor as typeof ServiceError).code || code === RetryTimeoutError.code;
}

/**
 * A row does not exist, or the caller may not see it: row-level security does not tell one from the other.
 *
 * @cause The id is wrong, the row was deleted, or it belongs to another user.
 * @fix Check the id and the caller.
 * @sample new NotFoundError("category")
 */
export class NotFoundError extends ServiceError {
  /** The code in logs and responses. */
  static override readonly code = "NOT_FOUND";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = describeStatus(404);

  /**
   * Creates the error.
   *
   * @param what The kind of row, such as `category`.
   */
  constructor(what: string) {
    super({ code: NotFoundError.code, status: 404, message: `No such ${what}` });
  }
}

/**
 * The project could not be reached, or cannot reach its database. `cause` says why.
 *
 * @cause The project is paused, restarting or overloaded, or the network failed.
 * @fix Retry after a moment. If it lasts, check the project's status.
 * @sample new UpstreamUnavailableError(new TypeError("connection refused"))
 */
export class UpstreamUnavailableError extends ServiceError {
  /** The code in logs and responses. */
  static override readonly code = "UPSTREAM_UNAVAILABLE";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = SERVICE_UNAVAILABLE;

  /**
   * Creates the error.
   *
   * @param cause The failure of the call.
   * @param retryAfterMs The wait before the next attempt that the project asked for, in ms. Default: none.
   */
  constructor(cause: unknown, retryAfterMs?: number | undefined) {
    super({ code: UpstreamUnavailableError.code, status: 503, message: messageFor(503), cause, retryAfterMs });
  }
}

/**
 * The project rejected the API key that the pool sends, or a credential that is not the caller's. The caller can do
 * nothing about it. `cause` says what was rejected.
 *
 * @cause The key is wrong, was revoked, belongs to another project, or may not do what was asked.
 * @fix Set `SUPABASE_PUBLISHABLE_KEY` and `SUPABASE_SECRET_KEY` to keys of the project, and check that they are enabled.
 * @sample new ApiKeyRejectedError(new Error("Invalid API key"))
 */
export class ApiKeyRejectedError extends ServiceError {
  /** The code in logs and responses. */
  static override readonly code = "API_KEY_REJECTED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    status: 500,
    title: "Server configuration error",
    detail: "The server is misconfigured: see its log",
  };

  /**
   * Creates the error.
   *
   * @param cause The failure of the call.
   */
  constructor(cause: unknown) {
    const { status } = ApiKeyRejectedError.http;
    super({ code: ApiKeyRejectedError.code, status, message: "The project rejected the server's API key", cause });
  }

  /** The response to it: a fault of the server, never of the caller. */
  override get http(): HttpDescription {
    return ApiKeyRejectedError.http;
  }
}

/**
 * The project's response was lost, or is not one of its Data API. `cause` says why.
 *
 * @cause The connection broke before the response, a proxy answered, or the project failed.
 * @fix Retry if the call is idempotent, and check the project URL.
 * @sample new UpstreamFailedError({ status: 502, cause: new TypeError("connection reset") })
 */
export class UpstreamFailedError extends ServiceError {
  /** The code in logs and responses. */
  static override readonly code = "UPSTREAM_FAILED";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UPSTREAM_FAILURE;

  /** Creates an error with the status of the failed call. Default of `message`: a text for that status. */
  constructor({ message, ...init }: Partial<ServiceErrorInit> & { readonly status: number }) {
    super({ ...init, code: UpstreamFailedError.code, message: message ?? messageFor(init.status) });
  }
}

/** Returns the message of a failure of the project. */
export function messageFor(status: number): string {
  if (status === 503) return "The project is unavailable";
  if (status === 504) return "The project did not respond in time";
  return "The project could not complete the call";
}
