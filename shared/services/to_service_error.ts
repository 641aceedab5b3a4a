/**
 * The error a service throws for a failed call to the project, whichever client of supabase-js it comes from.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";
import {
  CircuitOpenError,
  classifyFailure,
  codeOf,
  type FailedResponse,
  failedResponse,
  memberOf,
  passAttempts,
  retryAfterMs,
  RetryTimeoutError,
  sqlstateMeaning,
  textOf,
} from "../resilience/mod.ts";
import { transportFailure, URL_HINT } from "../supabase/mod.ts";
import {
  ApiKeyRejectedError,
  isDatabaseCode,
  messageFor,
  ServiceError,
  UpstreamFailedError,
  UpstreamUnavailableError,
} from "./service_error.ts";

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
 * An error of the pool, its circuit breaker's included, an abort, and a {@linkcode ServiceError} are returned as they are. The message of a failure of
 * the server (5xx) stays in `cause`: it may name hosts.
 */
export function toServiceError(failure: unknown): Error {
  if (failure instanceof ServiceError || isOfPool(failure)) return failure;
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
  passAttempts(failure, error);
  return error;
}

function ofApiError(api: ApiError, source: unknown, failure: unknown): ServiceError {
  const { code, hint } = api;
  const cause = causeOf(source, api);
  if (isOfKey(source, api)) return new ApiKeyRejectedError(cause);
  const status = statusFor(failure, api);
  const waitMs = retryAfterMs(failure);
  if (status < 500) {
    const init = {
      status,
      message: rejectionMessage(source, api, status),
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

/** The messages for what a gateway rejects: its own may be a page, and name hosts. */
const REJECTIONS: ReadonlyMap<number, string> = new Map([
  [413, "The request is too large for the project"],
  [414, "The query does not fit into a URL"],
  [429, "The project received too many requests"],
  [431, "The headers of the request are too large for the project"],
]);

/** The longest message of a service that the caller gets, in characters. */
const MAX_MESSAGE = 300;

/** Returns the message of a rejected call for the caller: that of the service that rejected it, if it is one. */
function rejectionMessage(source: unknown, { code, message }: ApiError, status: number): string {
  const isOfService = code !== "" || /^(Auth|Storage|Functions)/.test(textOf(source, "name") ?? "");
  // A client that finds no message in a body takes all of it.
  const isSentence = message.trim() !== "" && message.length <= MAX_MESSAGE && !/[<>]|^\s*[{["]/.test(message);
  return isOfService && isSentence ? message : REJECTIONS.get(status) ?? "The project rejected the request";
}

/** The longest text of a failed call that an error keeps as its cause, in characters: a gateway may respond with a page. */
const MAX_CAUSE = 2_000;

function shortened(text: string): string {
  return text.length <= MAX_CAUSE ? text : `${text.slice(0, MAX_CAUSE)}... (${text.length} characters)`;
}

/** Returns whether the pool did not send the call. */
function isOfPool(failure: unknown): failure is PoolError | CircuitOpenError {
  return failure instanceof PoolError || failure instanceof CircuitOpenError;
}

/**
 * Returns the error of the pool or of its circuit breaker that `failure` is, or that storage-js or functions-js have
 * wrapped in it; `undefined` for any other failure.
 */
export function poolErrorBehind(failure: unknown): PoolError | CircuitOpenError | undefined {
  const source = sourceOf(failure);
  return [source, memberOf(source, "context"), memberOf(source, "originalError")].find(isOfPool);
}

/** Returns the cause: something thrown keeps its own causes; an error object of the Data API loses its `details`. */
function causeOf(source: unknown, { code, message, hint }: ApiError): unknown {
  const isApiObject = memberOf(source, "details") !== undefined;
  return source instanceof Error && !isApiObject
    ? source
    : { name: "PostgrestError", code, message: shortened(message), hint };
}

/** Returns the failure that a `ServiceError` was created from; another error itself. */
export function sourceOfError(error: unknown): unknown {
  return error instanceof ServiceError ? sources.get(error) ?? error : error;
}

/**
 * Returns the error, or the one behind it: supabase-js flattens what `fetch` threw to a text, and the client's lease
 * still has the error itself.
 */
export function withTransportFailure(error: unknown, client: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const thrown = transportFailure(client, sourceOfError(error));
  return thrown === undefined ? error : toServiceError(thrown);
}
