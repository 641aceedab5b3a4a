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
  type FailedResponse,
  failedResponse,
  type FailureKind,
  type HttpDescription,
  memberOf,
  retryAfterMs,
  RetryTimeoutError,
  SERVICE_UNAVAILABLE,
  sqlstateMeaning,
  textOf,
  UPSTREAM_FAILURE,
} from "../resilience/mod.ts";
import { transportFailure, URL_HINT } from "../supabase/mod.ts";

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

  /**
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
  static override readonly code = "API_KEY_REJECTED";
  static override readonly retry = "permanent";
  static override readonly http: HttpDescription = {
    status: 500,
    title: "Server configuration error",
    detail: "The server is misconfigured: see its log",
  };

  /** @param cause The failure of the call. */
  constructor(cause: unknown) {
    const { status } = ApiKeyRejectedError.http;
    super({ code: ApiKeyRejectedError.code, status, message: "The project rejected the server's API key", cause });
  }

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
  /** The response behind it, if the call was one of a view. */
  readonly response: FailedResponse | undefined;
}

/** Returns the error of a result `{ data, error, status }`, or the failure itself. */
function sourceOf(failure: unknown): unknown {
  // The body of an error may have a member of that name: `{ "error": "Unauthorized" }`.
  const error = memberOf(failure, "error");
  return typeof error === "object" && error !== null ? error : failure;
}

function apiError(failure: unknown, error: unknown): ApiError {
  const response = failedResponse(failure);
  // functions-js keeps the response itself.
  const statuses = [
    response?.status,
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
    response,
  };
}

/**
 * Statuses of a gateway that mean something else to the caller of this function than to the function: they are about
 * its own request to the project, or unknown outside of the network that they come from.
 */
const PASSED_ON_AS: ReadonlyMap<number, number> = new Map([
  [402, 503], // Supabase: the project has exceeded a quota
  [407, 502],
  [408, 503],
  [421, 502],
  [425, 503],
  [511, 502],
  [520, 502],
  [521, 503],
  [522, 504],
  [523, 503],
  [524, 504],
  [525, 502],
  [526, 502],
  [527, 502],
  [530, 503],
  [540, 503], // Supabase: the project is paused
  [544, 504],
  [546, 502],
]);

function statusFor(failure: unknown, { code, status }: ApiError): number {
  const ofCode = sqlstateMeaning(code)?.status;
  const passedOn = ofCode === undefined && status !== undefined ? PASSED_ON_AS.get(status) : undefined;
  const known = ofCode ?? passedOn ?? status;
  if (known !== undefined && (known < 500 || known === passedOn)) return known;
  switch (classifyFailure(failure)) {
    case "transient":
      return 503;
    case "ambiguous":
      return known === 504 ? 504 : 502;
    case "permanent":
      return known ?? 502;
  }
}

/** The codes of Auth for a key without the right to ask; its other codes are about the token that was passed to it. */
const OF_AUTH_KEY = ["no_authorization", "not_admin"];

/**
 * Returns whether a 401 or 403 is about the pool's key: a gateway gives it, without a code of the service behind it. The
 * token of a user is the caller's own.
 */
function isOfKey(source: unknown, { status, code, response }: ApiError): boolean {
  if (status !== 401 && status !== 403) return false;
  const name = textOf(source, "name") ?? "";
  if (name.startsWith("Functions")) return response?.asUser !== true;
  if (name.startsWith("Auth")) return code === "" || OF_AUTH_KEY.includes(code);
  if (name.startsWith("Storage")) return code === "";
  // Without a user's token, the token that PostgREST rejects is a key of the older kind.
  if (code === "PGRST301" || code === "PGRST303") return response?.asUser === false;
  return response !== undefined && !isDatabaseCode(code);
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
  const wrapped = poolErrorBehind(failure);
  if (wrapped) return wrapped;
  if (failure instanceof RetryTimeoutError) {
    const { status, detail } = RetryTimeoutError.http;
    return new ServiceError({ code: failure.code, status, message: detail, cause: failure });
  }
  const source = sourceOf(failure);
  const error = ofApiError(apiError(failure, source), source, failure);
  sources.set(error, source);
  return error;
}

function ofApiError(api: ApiError, source: unknown, failure: unknown): ServiceError {
  const { code, message, hint } = api;
  const cause = causeOf(source, api);
  if (isOfKey(source, api)) return new ApiKeyRejectedError(cause);
  const status = statusFor(failure, api);
  const waitMs = retryAfterMs(failure);
  if (status < 500) {
    const init = {
      status,
      message: presentable(message),
      hint: hint ?? HINTS.get(status),
      cause,
      retryAfterMs: waitMs,
    };
    return code === "" ? new UpstreamFailedError(init) : new ServiceError({ ...init, code });
  }
  const init = { status, message: messageFor(status), cause, retryAfterMs: waitMs };
  if (isDatabaseCode(code)) return new ServiceError({ ...init, code });
  return status === 503 ? new UpstreamUnavailableError(cause, waitMs) : new UpstreamFailedError(init);
}

/** The ways to fix what a gateway rejects without a hint. */
const HINTS: ReadonlyMap<number, string> = new Map([[414, URL_HINT]]);

/** The longest message of a rejected call that the caller gets, in characters. */
const MAX_MESSAGE = 300;

/** Returns the message of a rejected call, if it is one: a gateway may respond with a page, or with nothing. */
function presentable(message: string): string {
  const isSentence = message.trim() !== "" && message.length <= MAX_MESSAGE && !/[<>{}]/.test(message);
  return isSentence ? message : "The project rejected the request";
}

/** The longest text of a failed call that an error keeps as its cause, in characters: a gateway may respond with a page. */
const MAX_CAUSE = 2_000;

function shortened(text: string): string {
  return text.length <= MAX_CAUSE ? text : `${text.slice(0, MAX_CAUSE)}... (${text.length} characters)`;
}

/** Returns the error of the pool that storage-js or functions-js have wrapped. */
function poolErrorBehind(failure: unknown): PoolError | undefined {
  const source = sourceOf(failure);
  return [source, memberOf(source, "context"), memberOf(source, "originalError")].find((each) =>
    each instanceof PoolError
  );
}

function messageFor(status: number): string {
  if (status === 503) return "The project is unavailable";
  if (status === 504) return "The project did not respond in time";
  return "The project could not complete the call";
}

/** Returns the cause: something thrown keeps its own causes; an error object of the Data API loses its `details`. */
function causeOf(source: unknown, { code, message, hint }: ApiError): unknown {
  const isApiObject = memberOf(source, "details") !== undefined;
  return source instanceof Error && !isApiObject
    ? source
    : { name: "PostgrestError", code, message: shortened(message), hint };
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
