/**
 * Retries of reads. A view retries what plain supabase-js retries, so that a drop-in is never less reliable than what
 * it replaces: within its request's time, and without its slot meanwhile.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { backoffDelayMs, CircuitOpenError, parseRetryAfter, textOf } from "../../resilience/mod.ts";
import type { ProjectRequest } from "./project_request.ts";

/** The maximum number of retries of a read, as in postgrest-js 2.119 (`fetchWithRetry`). */
export const MAX_READ_RETRIES = 3;

/** Its methods. */
const READS: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** Its statuses: PostgREST without a schema cache (PGRST002), and a proxy that got no response. */
const RETRIED: readonly number[] = [503, 520];

/** Its delays: 1, 2 and 4 s; here lengthened at random, so that callers that failed together do not come back together. */
const BACKOFF = { baseMs: 1_000, capMs: 30_000 };

/** A longer wait is a mistake, and no timer can wait for it: plain supabase-js retries at once. */
const MAX_RETRY_AFTER_MS = 2_147_483_647;

/** Marks the options of a call that its caller does not want to be retried (`.retry(false)`). */
export const NO_RETRY = Symbol("no retry");

/** Returns whether a call of postgrest-js may be sent again. */
export function isRetriedRead({ method, init }: ProjectRequest): boolean {
  return READS.includes(method) && (init === undefined || !Object.hasOwn(init, NO_RETRY));
}

/** Returns `request` as it is sent the nth time again. */
export function asRetry(request: ProjectRequest, nth: number): ProjectRequest {
  return { ...request, headers: { ...request.headers, "x-retry-count": String(nth) } };
}

/** Returns the wait that a response asks for (`Retry-After`), in ms; `undefined` for none. */
export function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("Retry-After");
  return value === null ? undefined : parseRetryAfter(value, Date.now());
}

/**
 * Returns the delay before a read is sent again after `response`, in ms; `undefined` if it is not.
 *
 * @param retries The number of its retries so far.
 */
export function delayAfterResponse(response: Response, retries: number): number | undefined {
  if (retries >= MAX_READ_RETRIES || !RETRIED.includes(response.status)) return undefined;
  const askedMs = retryAfterOf(response);
  return askedMs !== undefined && askedMs <= MAX_RETRY_AFTER_MS ? askedMs : backoffDelayMs(retries, BACKOFF);
}

/**
 * Returns the delay before a read is sent again that failed without a response, in ms; `undefined` if it is not: it was
 * aborted, or the pool rejected it. One that the circuit breaker of its target rejected is sent once the circuit may close.
 *
 * @param retries The number of its retries so far.
 */
export function delayAfterError(error: unknown, retries: number): number | undefined {
  // It was not sent: it waits until the target is asked again, however often. `undefined` if an operator opened it.
  if (error instanceof CircuitOpenError) return error.retryAfterMs;
  if (retries >= MAX_READ_RETRIES || error instanceof PoolError || textOf(error, "name") === "AbortError") {
    return undefined;
  }
  return backoffDelayMs(retries, BACKOFF);
}
