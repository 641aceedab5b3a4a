/**
 * What a service throws when a call to the project failed.
 *
 * @module
 */
import { classifyFailure, RetryTimeoutError } from "../resilience/mod.ts";
import { PoolError } from "../pool/mod.ts";
import { transportFailure } from "../supabase/mod.ts";
import { statusOfCode } from "./service_status.ts";

/** What a {@linkcode ServiceError} says. */
export interface ServiceErrorInit {
  /** The Data API's or Postgres's own code, or one of ours; stable. */
  readonly code: string;
  /** The HTTP status to answer with. */
  readonly status: number;
  /** Fit to be shown to the caller. */
  readonly message: string;
  /** What to do about it. Default: none. */
  readonly hint?: string | undefined;
  /** What it came of. Default: nothing. */
  readonly cause?: unknown;
}

/**
 * A call to the project failed. `message` and `hint` may be shown to the
 * caller. The `details` of a Postgres error are left behind: they hold values
 * of rows.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  /** Stable: a SQLSTATE, a code of PostgREST (`PGRST…`), or one of {@linkcode ServiceErrorCode}. */
  readonly code: string;
  /** The HTTP status to answer with. */
  readonly status: number;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor({ code, status, message, hint, cause }: ServiceErrorInit) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.status = status;
    this.hint = hint;
  }
}

/** The codes a {@linkcode ServiceError} has beside those of Postgres and PostgREST. */
export type ServiceErrorCode =
  /** No such row, or none this caller may see. */
  | "NOT_FOUND"
  /** The project could not be reached, or cannot reach its database. */
  | "UPSTREAM_UNAVAILABLE"
  /** The project's answer was lost or made no sense. */
  | "UPSTREAM_FAILED"
  /** The time for an operation and its retries was over. */
  | "RETRY_TIMEOUT";

/** No such row, or none this caller may see: row-level security does not tell one from the other. */
export function notFound(what: string): ServiceError {
  return new ServiceError({ code: "NOT_FOUND", status: 404, message: `No such ${what}` });
}

/** What the project's errors have in common. */
interface ApiError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly status: number | undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

/** The error of a result `{ data, error, status }`; anything else is the error itself. */
function sourceOf(failure: unknown): unknown {
  return memberOf(failure, "error") ?? failure;
}

function apiError(failure: unknown): ApiError {
  const error = sourceOf(failure);
  // functions-js keeps the answer itself.
  const statuses = [
    memberOf(error, "status"),
    memberOf(failure, "status"),
    memberOf(memberOf(error, "context"), "status"),
  ];
  const status = statuses.find((each) => typeof each === "number");
  return {
    code: text(memberOf(error, "code")) ?? "",
    message: text(memberOf(error, "message")) ?? "",
    hint: text(memberOf(error, "hint")),
    status: typeof status === "number" && status >= 400 && status <= 599 ? status : undefined,
  };
}

function statusFor(failure: unknown, { code, status }: ApiError): number {
  const known = statusOfCode(code) ?? status;
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

function ownCode(code: string): boolean {
  return /^(PGRST\w{3}|(?=.*\d)[0-9A-Z]{5})$/.test(code);
}

/** The failure each error was made of, as supabase-js gave it. */
const sources = new WeakMap<ServiceError, unknown>();

/**
 * The error a service throws for `failure`: something thrown, an error object
 * of supabase-js, or a whole result `{ data, error, status }`.
 *
 * An error of the pool, of a caller who gave up, or one that is a
 * {@linkcode ServiceError} already comes back as it is. Of a failure of the
 * server (5xx) the message stays in `cause`: it speaks of our insides.
 */
export function toServiceError(failure: unknown): Error {
  if (failure instanceof ServiceError || failure instanceof PoolError) return failure;
  if (failure instanceof Error && failure.name === "AbortError") return failure;
  if (failure instanceof RetryTimeoutError) {
    const message = "The project did not carry it out in time";
    return new ServiceError({ code: failure.code, status: 504, message, cause: failure });
  }
  const source = sourceOf(failure);
  const api = apiError(failure);
  const status = statusFor(failure, api);
  const fallback: ServiceErrorCode = status === 503 ? "UPSTREAM_UNAVAILABLE" : "UPSTREAM_FAILED";
  const error = new ServiceError({
    code: status < 500 ? api.code || "UPSTREAM_FAILED" : ownCode(api.code) ? api.code : fallback,
    status,
    message: status < 500 ? api.message || "The project refused the call" : messageFor(status),
    hint: status < 500 ? api.hint : undefined,
    cause: causeOf(source, api),
  });
  sources.set(error, source);
  return error;
}

function messageFor(status: number): string {
  if (status === 503) return "The project is not available at the moment";
  if (status === 504) return "The project did not answer in time";
  return "The project failed to carry out the call";
}

/** What is thrown keeps its own causes; an error object of the Data API is kept without `details`. */
function causeOf(source: unknown, { code, message, hint }: ApiError): unknown {
  const isApiObject = memberOf(source, "details") !== undefined;
  return source instanceof Error && !isApiObject ? source : { name: "PostgrestError", code, message, hint };
}

/**
 * The error itself, or a better one: supabase-js makes a text of what `fetch`
 * threw, and the client's lease still knows the error.
 */
export function withTransportFailure(error: unknown, client: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const thrown = transportFailure(client, sources.get(error));
  return thrown === undefined ? error : toServiceError(thrown);
}
