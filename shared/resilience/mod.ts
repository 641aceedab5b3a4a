/**
 * Waiting, retrying and time. A leaf: it imports no other folder of `shared/`.
 *
 * @module
 */

// Time.
export { type Clock, createSystemClock, MAX_TIMER_MS, systemClock, type Timer, type TimerOptions } from "./clock.ts";
export { Timeouts } from "./timeouts.ts";

// Retries.
export { type Backoff, backoffDelayMs } from "./backoff.ts";
export { classifyFailure, type FailureKind, retryAfterMs } from "./failure.ts";
export { type Attempt, retry, type RetryEvent, type RetryOptions, RetryTimeoutError } from "./retry.ts";

// Values that may be promises.
export { isPromiseLike, observe } from "./promise_like.ts";
