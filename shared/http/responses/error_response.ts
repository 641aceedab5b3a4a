/**
 * Which answer an error becomes.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { ServiceError, statusOfCode, toServiceError } from "../../services/mod.ts";
import { redact } from "../logging/log.ts";
import { problem, type ProblemInit } from "./problem.ts";
import { RequestError } from "./request_error.ts";

type Answer = Omit<ProblemInit, "code" | "headers"> & { readonly retryAfterSeconds?: number };

const BUSY = { status: 503, title: "Service busy", retryAfterSeconds: 1 } as const;

const UNKNOWN_EFFECT = "The connection to the database broke: whether the request took effect is not known";

/**
 * Errors whose cause is the moment, not the program: the same request may do
 * better later. Every code that is not here is a fault of ours, answered 500.
 */
const BY_CODE: Readonly<Record<string, Answer>> = {
  ACQUIRE_TIMEOUT: { ...BUSY, detail: "Connection acquire timeout: every connection stayed in use" },
  QUEUE_FULL: { ...BUSY, detail: "Too many requests wait for a connection" },
  POOL_CLOSED: { ...BUSY, title: "Service shutting down", detail: "This instance is shutting down" },
  LEASE_REVOKED: { ...BUSY, title: "Service shutting down", detail: "This instance was shut down meanwhile" },
  CIRCUIT_OPEN: { ...BUSY, title: "Service unavailable", detail: "Calls are suspended while the project recovers" },
  ACQUIRE_ABORTED: { ...BUSY, detail: "Waiting for a connection was given up" },
  CREATE_TIMEOUT: { ...BUSY, title: "Service unavailable", detail: "No connection could be made in time" },
  DEADLINE_EXCEEDED: { status: 504, title: "Upstream timeout", detail: "The request was not answered in time" },
  REQUEST_TIMEOUT: { status: 504, title: "Upstream timeout", detail: "The project did not answer in time" },
  QUERY_TIMEOUT: { status: 504, title: "Upstream timeout", detail: "The database did not answer in time" },
  TRANSACTION_TIMEOUT: { status: 504, title: "Upstream timeout", detail: "The database did not answer in time" },
  CONNECTION_BROKEN: { ...BUSY, title: "Service unavailable", detail: "The connection to the database broke" },
  POOLER_UNAVAILABLE: { ...BUSY, title: "Service unavailable", detail: "The database could not be reached" },
  POOLER_LOST_SERVER: { status: 502, title: "Upstream failure", detail: UNKNOWN_EFFECT },
  CONNECTION_LOST: { status: 502, title: "Upstream failure", detail: UNKNOWN_EFFECT },
  COMMIT_OUTCOME_UNKNOWN: { status: 502, title: "Upstream failure", detail: UNKNOWN_EFFECT },
};

/** The longest `Retry-After` given, in seconds: an hour. */
const MAX_RETRY_AFTER_S = 3_600;

function retryAfter(error: object, otherwise: number): string {
  const ms = "retryAfterMs" in error ? Number(error.retryAfterMs) : NaN;
  const seconds = Number.isFinite(ms) && ms >= 0 ? Math.ceil(ms / 1_000) : otherwise;
  return String(Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_S));
}

/** Whether it is the `error` of a result of supabase-js: its four members, and no other error has them. */
export function isApiError(error: unknown): boolean {
  return typeof error === "object" && error !== null &&
    ["message", "code", "details", "hint"].every((member) => member in error) && !(error instanceof ServiceError);
}

/** The errors of the project that the other clients of supabase-js return, by name: their classes are theirs. */
const OF_CLIENTS = new Set(["StorageApiError", "AuthApiError", "FunctionsHttpError", "FunctionsRelayError"]);

/** Whether the project answered auth-js, storage-js or functions-js so. */
function isClientError(error: unknown): boolean {
  return error instanceof Error && OF_CLIENTS.has(error.name) && !(error instanceof ServiceError);
}

/** What the caller is told of an error nobody foresaw: nothing of its insides. */
function internal(code = "INTERNAL_ERROR"): Response {
  return problem({ status: 500, code, title: "Internal server error", detail: "The server met an unexpected error" });
}

/**
 * The answer to `error`, as a problem (RFC 9457) with a stable `code`:
 *
 * - a {@linkcode RequestError}, of `readJson` and its like, says its answer itself;
 * - a {@linkcode ServiceError} keeps its status, code, message and hint, and so
 *   does an error of the Data API, Auth, Storage or a function thrown as
 *   supabase-js returned it;
 * - what a moment of load or a shutdown causes is 503 with `Retry-After`
 *   (`ACQUIRE_TIMEOUT`, `QUEUE_FULL`, `POOL_CLOSED`, `CIRCUIT_OPEN`, …);
 * - a call the project did not answer in time is 504 (`REQUEST_TIMEOUT`), and so
 *   is a request that did not meet its deadline (`DEADLINE_EXCEEDED`);
 * - an error of Postgres itself has the status that the Data API would give it;
 * - every other error of the pool is 500 with its code;
 * - anything else is 500, `INTERNAL_ERROR`, with nothing of its insides.
 *
 * Never throws. `error` is not logged here.
 */
export function errorResponse(error: unknown): Response {
  if (error instanceof RequestError) return error.toResponse();
  if (error instanceof ServiceError) return serviceProblem(error);
  if (isApiError(error) || isClientError(error)) return errorResponse(toServiceError(error));
  if (!(error instanceof PoolError)) return internal();
  const answer = Object.hasOwn(BY_CODE, error.code) ? BY_CODE[error.code] : undefined;
  if (answer === undefined) return databaseProblem(error) ?? internal(error.code);
  const { retryAfterSeconds, ...init } = answer;
  return problem({
    ...init,
    code: error.code,
    headers: retryAfterSeconds === undefined ? undefined : { "Retry-After": retryAfter(error, retryAfterSeconds) },
  });
}

function titleOf(status: number): string {
  if (status < 500) return "Request refused";
  if (status === 503) return "Service unavailable";
  return status === 504 ? "Upstream timeout" : "Upstream failure";
}

/** An error that Postgres itself reported on a connection of ours, as the Data API would have shown it. */
function databaseProblem(error: PoolError): Response | undefined {
  const { code, message } = error;
  const status = "severity" in error ? statusOfCode(code) : undefined;
  if (status === undefined) return undefined;
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  const shown = status < 500 ? { message, hint } : { message: "The database did not carry it out" };
  return serviceProblem(new ServiceError({ code, status, ...shown }));
}

/** The Data API's own error, as it may be shown: `details` stay here, they hold values of rows. */
function serviceProblem({ status, code, message, hint }: ServiceError): Response {
  const known = Number.isInteger(status) && status >= 400 && status <= 599;
  return problem({
    status: known ? status : 502,
    code,
    title: titleOf(known ? status : 502),
    detail: redact(message),
    hint: hint ? redact(hint) : undefined,
    headers: status === 503 || status === 429 ? { "Retry-After": "1" } : undefined,
  });
}
