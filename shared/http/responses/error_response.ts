/**
 * The response to an error.
 *
 * @module
 */
import { redact, withoutRowValues } from "../../observability/log/mod.ts";
import { type ErrorClass, type HttpDescription, INTERNAL_ERROR, memberOf, responseOf } from "../../resilience/mod.ts";
import { ServiceError, toServiceError } from "../../services/mod.ts";
import { checkResponse } from "./handler_response.ts";
import { problem, problemType, RequestError } from "./problem.ts";

/**
 * An error that does not describe itself. `cause` is that error; the response does not show it.
 *
 * @cause A fault of the program, such as a `TypeError`, or an error class of the application that declares no response.
 * @fix Read the log: it has the error with its stack.
 * @sample new UnexpectedError(new TypeError("Cannot read properties of undefined"))
 */
export class UnexpectedError extends Error {
  /** The code in logs and responses. */
  static readonly code = "INTERNAL_ERROR";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases: what programs test for. */
  readonly code: string = UnexpectedError.code;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = UnexpectedError.http;

  /**
   * Creates the error.
   *
   * @param cause The error that does not describe itself.
   */
  constructor(cause: unknown) {
    super(INTERNAL_ERROR.detail, { cause });
    this.name = new.target.name;
  }
}

/** An error that describes itself, as each class of this library does. */
interface DescribedError extends Error {
  readonly code: string;
  readonly http: HttpDescription;
}

/** Returns whether an error describes itself: with the status of an error. */
export function isDescribed(error: unknown): error is DescribedError {
  const status = memberOf(memberOf(error, "http"), "status");
  return error instanceof Error && typeof memberOf(error, "code") === "string" &&
    typeof status === "number" && status >= 400 && status <= 599;
}

/** The longest `Retry-After`, in seconds: an hour. */
const MAX_RETRY_AFTER_S = 3_600;

/** Returns the `Retry-After` of an error, which may know better than its class (`retryAfterMs`). */
function retryAfter(error: Error, otherwise: number): string {
  const ms = Number(memberOf(error, "retryAfterMs") ?? NaN);
  const seconds = Number.isFinite(ms) && ms >= 0 ? Math.ceil(ms / 1_000) : otherwise;
  return String(Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_S));
}

/**
 * Returns whether it is the `error` of a result of supabase-js: it was created from the response to a call, or has the
 * four members that no other error has.
 */
export function isApiError(error: unknown): boolean {
  if (error instanceof ServiceError) return false;
  return responseOf(error) !== undefined || typeof error === "object" && error !== null &&
      ["message", "code", "details", "hint"].every((member) => member in error);
}

/** The errors of the project that the other clients of supabase-js return, by name: the classes are theirs. */
const OF_CLIENTS = new Set([
  "StorageApiError",
  "StorageUnknownError",
  "StorageVectorsApiError",
  "StorageVectorsUnknownError",
  "AuthApiError",
  "AuthUnknownError",
  "AuthRetryableFetchError",
  "AuthWeakPasswordError",
  "AuthSessionMissingError",
  "AuthInvalidJwtError",
  "FunctionsHttpError",
  "FunctionsRelayError",
  "FunctionsFetchError",
]);

/** Returns whether it is an error that the project returned to auth-js, storage-js or functions-js. */
function isClientError(error: unknown): boolean {
  return error instanceof Error && OF_CLIENTS.has(error.name) && !(error instanceof ServiceError);
}

/**
 * Returns the response to `error`, as a problem (RFC 9457) with a stable `code`. The `type` links to the code's section
 * in `docs/errors.md`.
 *
 * - An error class of this library declares its response; so may one of the application (`code`, `http`).
 * - An error of the Data API, Auth, Storage or a function, thrown as supabase-js returned it, keeps its status, code,
 *   message and hint. The message of a data exception (SQLSTATE class 22) loses the value that it quotes.
 * - Any other error is 500, `INTERNAL_ERROR`, without its message.
 *
 * Never throws. `error` is not logged here.
 */
export function errorResponse(error: unknown): Response {
  try {
    if (error instanceof RequestError) return checkResponse(error.toResponse(), "toResponse");
    if (isApiError(error) || isClientError(error)) return describedResponse(toServiceError(error));
    return describedResponse(error);
  } catch {
    // The error of an application may declare a response that cannot be created, or have a getter that throws.
    return describedResponse(new UnexpectedError(error));
  }
}

/** Returns whether a code is a SQLSTATE of class 22: its message quotes a value, which may come from any row. */
function isDataException(code: string): boolean {
  return code.length === 5 && code.startsWith("22");
}

function describedResponse(error: unknown): Response {
  const described = isDescribed(error) ? error : new UnexpectedError(error);
  const { status, title, detail, hint, retryAfterSeconds, section } = described.http;
  const documented = section ?? (described.constructor as Partial<ErrorClass>).code;
  return problem({
    status,
    code: described.code,
    title,
    type: documented ? problemType(documented) : undefined,
    detail: detail && redact(isDataException(described.code) ? withoutRowValues(detail, described.code) : detail),
    hint: hint && redact(hint),
    headers: retryAfterSeconds === undefined ? undefined : { "Retry-After": retryAfter(described, retryAfterSeconds) },
  });
}
