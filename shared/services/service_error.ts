/**
 * The error of a failed call to the project.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";
import {
  classifyFailure,
  codeOf,
  describeStatus,
  type ErrorCodes,
  type FailureKind,
  type HttpDescription,
  memberOf,
  RetryTimeoutError,
  SERVICE_UNAVAILABLE,
  sqlstateMeaning,
  textOf,
  UPSTREAM_FAILURE,
} from "../resilience/mod.ts";
import { transportFailure } from "../supabase/mod.ts";

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
  static readonly http: HttpDescription = UPSTREAM_FAILURE;

  /** A SQLSTATE, a code of PostgREST (`PGRST...`), one of {@linkcode ServiceErrorCode} or of the application; stable. */
  readonly code: string;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The way to fix it. */
  readonly hint: string | undefined;

  /** Creates an error with the code and status of a failed call. */
  constructor({ code, status, message, hint, cause }: ServiceErrorInit) {
    super(message, cause === undefined ? {} : { cause });
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.hint = hint;
  }

  /** The retry class, as `classifyFailure` reads it; `undefined`: code, status or cause decide. */
  get retry(): FailureKind | undefined {
    return (this.constructor as typeof ServiceError).retry;
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
function isDatabaseCode(code: string): boolean {
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
  static override readonly code = "NOT_FOUND";
  static override readonly retry = "permanent";
  static override readonly http = describeStatus(404);

  /** @param what The kind of row, such as `category`. */
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
  static override readonly code = "UPSTREAM_UNAVAILABLE";
  static override readonly http = SERVICE_UNAVAILABLE;

  /** @param cause The failure of the call. */
  constructor(cause: unknown) {
    super({ code: UpstreamUnavailableError.code, status: 503, message: messageFor(503), cause });
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
  static override readonly code = "UPSTREAM_FAILED";
  static override readonly http = UPSTREAM_FAILURE;

  /** Creates an error with the status of the failed call. Default of `message`: a text for that status. */
  constructor({ message, ...init }: Partial<ServiceErrorInit> & { readonly status: number }) {
    super({ ...init, code: UpstreamFailedError.code, message: message ?? messageFor(init.status) });
  }
}

/** The members that errors of the project have in common. */
interface ApiError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly status: number | undefined;
}

/** Returns the error of a result `{ data, error, status }`, or the failure itself. */
function sourceOf(failure: unknown): unknown {
  return memberOf(failure, "error") ?? failure;
}

function apiError(failure: unknown): ApiError {
  const error = sourceOf(failure);
  // functions-js keeps the response itself.
  const statuses = [
    memberOf(error, "status"),
    memberOf(failure, "status"),
    memberOf(memberOf(error, "context"), "status"),
  ];
  const status = statuses.find((each) => typeof each === "number");
  return {
    code: codeOf(error) ?? "",
    message: textOf(error, "message") ?? "",
    hint: textOf(error, "hint") || undefined,
    status: typeof status === "number" && status >= 400 && status <= 599 ? status : undefined,
  };
}

function statusFor(failure: unknown, { code, status }: ApiError): number {
  const known = sqlstateMeaning(code)?.status ?? status;
  if (known !== undefined && known < 500) return known;
  switch (classifyFailure(failure)) {
    case "transient":
      return 503;
    case "ambiguous":
      return known === 504 ? 504 : 502;
    case "permanent":
      return known ?? 502;
  }
}

/** The failure that each error was created from, as supabase-js returned it. */
const sources = new WeakMap<ServiceError, unknown>();

/**
 * Returns the error a service throws for `failure`: something thrown, an error object of supabase-js, or a whole result
 * `{ data, error, status }`.
 *
 * An error of the pool, an abort, and a {@linkcode ServiceError} are returned as they are. The message of a failure of
 * the server (5xx) stays in `cause`: it may name hosts.
 */
export function toServiceError(failure: unknown): Error {
  if (failure instanceof ServiceError || failure instanceof PoolError) return failure;
  if (failure instanceof Error && failure.name === "AbortError") return failure;
  if (failure instanceof RetryTimeoutError) {
    const { status, detail } = RetryTimeoutError.http;
    return new ServiceError({ code: failure.code, status, message: detail, cause: failure });
  }
  const source = sourceOf(failure);
  const error = ofApiError(apiError(failure), source, failure);
  sources.set(error, source);
  return error;
}

function ofApiError(api: ApiError, source: unknown, failure: unknown): ServiceError {
  const { code, message, hint } = api;
  const status = statusFor(failure, api);
  const cause = causeOf(source, api);
  if (status < 500) {
    const init = { status, message: message || "The Data API rejected the request", hint, cause };
    return code === "" ? new UpstreamFailedError(init) : new ServiceError({ ...init, code });
  }
  if (isDatabaseCode(code)) return new ServiceError({ code, status, message: messageFor(status), cause });
  return status === 503 ? new UpstreamUnavailableError(cause) : new UpstreamFailedError({ status, cause });
}

function messageFor(status: number): string {
  if (status === 503) return "The project is unavailable";
  if (status === 504) return "The project did not respond in time";
  return "The project could not complete the call";
}

/** Returns the cause: something thrown keeps its own causes; an error object of the Data API loses its `details`. */
function causeOf(source: unknown, { code, message, hint }: ApiError): unknown {
  const isApiObject = memberOf(source, "details") !== undefined;
  return source instanceof Error && !isApiObject ? source : { name: "PostgrestError", code, message, hint };
}

/**
 * Returns the error, or the one behind it: supabase-js flattens what `fetch` threw to a text, and the client's lease
 * still has the error itself.
 */
export function withTransportFailure(error: unknown, client: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const thrown = transportFailure(client, sources.get(error));
  return thrown === undefined ? error : toServiceError(thrown);
}
