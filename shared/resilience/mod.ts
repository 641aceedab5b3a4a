/**
 * Time, waiting, retries and events. A leaf: it imports nothing else of
 * `shared/`. To wait for a promise with a signal, use `abortable` of
 * `@std/async/abortable`.
 *
 * @module
 */

// Time.
export { type Clock, MAX_TIMER_MS, systemClock, type Timer, type TimerOptions, withoutContext } from "./clock.ts";
export { type DeadlineNode, DeadlineQueue, Deadlines, type DeadlineTimer } from "./deadlines.ts";
export { anySignal, timeoutSignal } from "./signals.ts";
export { BusyTime } from "./busy_time.ts";

// Retries.
export { type Backoff, backoffDelayMs } from "./backoff.ts";
export {
  classifyFailure,
  failedResponse,
  failureChain,
  type FailureKind,
  parseRetryAfter,
  retryAfterMs,
} from "./failure.ts";
export { type FailedResponse, rememberResponse, responseOf } from "./failed_response.ts";
export { AttemptCounter, attemptsOf, type FailedAttempt, passAttempts } from "./attempts.ts";
export { type Attempt, retry, type RetryEvent, type RetryOptions, RetryTimeoutError } from "./retry.ts";
export { RetryBudget, type RetryBudgetOptions, type RetryBudgetStats } from "./retry_budget.ts";

// Circuit breaker.
export { CircuitBreaker } from "./circuit_breaker.ts";
export { CircuitOpenError } from "./circuit_open_error.ts";
export type {
  CallJudge,
  CallOutcome,
  CircuitBreakerOptions,
  CircuitEvents,
  CircuitPermit,
  CircuitSnapshot,
  OpenReason,
  SettledCall,
} from "./circuit_types.ts";

// Errors that describe themselves.
export {
  describeStatus,
  type ErrorClass,
  type ErrorCodes,
  type HttpDescription,
  INTERNAL_ERROR,
  SERVICE_BUSY,
  SERVICE_UNAVAILABLE,
  UPSTREAM_FAILURE,
  UPSTREAM_TIMEOUT,
} from "./error_class.ts";
export { sqlstateMeaning } from "./sqlstate.ts";

// Callers.
export { checkCaller, installCallerCheck } from "./caller_check.ts";
export {
  isNumericDate,
  type RefusalReason,
  refusalResponse,
  servesUntilMs,
  TOKEN_LEEWAY_MS,
} from "./token_lifetime.ts";

// Events and health probes.
export { CachedProbe, type ProbeResult } from "./cached_probe.ts";
export { EventHub, type Listener, Subscriptions } from "./event_hub.ts";

// Values of unknown origin.
export { codeOf, countOf, fieldsOf, isPromiseLike, memberOf, messageOf, observe, textOf, toError } from "./unknown.ts";
