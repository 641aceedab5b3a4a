/**
 * Retries an operation within limits.
 *
 * @module
 */
import { AttemptCounter } from "./attempts.ts";
import { backoffDelayMs } from "./backoff.ts";
import { CircuitOpenError } from "./circuit_open_error.ts";
import { type Clock, MAX_TIMER_MS, systemClock, type Timer } from "./clock.ts";
import { Deadlines } from "./deadlines.ts";
import { type HttpDescription, UPSTREAM_TIMEOUT } from "./error_class.ts";
import { classifyFailure, type FailureKind, retryAfterMs } from "./failure.ts";
import type { RetryBudget } from "./retry_budget.ts";
import { observe } from "./unknown.ts";

/**
 * An attempt still ran at the deadline of an operation and its retries; `cause` is the last failure, if any.
 *
 * @cause The operation is slow, or fails again and again.
 * @fix Make the operation faster, or raise `deadlineMs`.
 * @sample new RetryTimeoutError(60_000, 3)
 */
export class RetryTimeoutError extends Error {
  /** The code in logs and responses. */
  static readonly code = "RETRY_TIMEOUT";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription & { readonly detail: string } = {
    ...UPSTREAM_TIMEOUT,
    detail: "The operation timed out",
  };

  /** Stable across releases. */
  readonly code: string = RetryTimeoutError.code;
  /** The name of the class. */
  override readonly name = "RetryTimeoutError";

  /**
   * Creates the error.
   *
   * @param deadlineMs The time limit, in ms.
   * @param attempts The number of attempts, the running one included.
   */
  constructor(deadlineMs: number, attempts: number, options?: ErrorOptions) {
    super(
      `The operation did not succeed within ${deadlineMs} ms (deadlineMs) and ${attempts} ` +
        `attempt${attempts === 1 ? "" : "s"}`,
      options,
    );
  }

  /** The retry class, as `classifyFailure` reads it. */
  get retry(): FailureKind {
    return RetryTimeoutError.retry;
  }

  /** The HTTP response to the error. */
  get http(): HttpDescription {
    return RetryTimeoutError.http;
  }
}

/** A retry that is about to happen. */
export interface RetryEvent {
  /** The number of the retry; 1 is the first. */
  readonly retry: number;
  /** The delay before it, in ms. */
  readonly delayMs: number;
  /** The failure: what was thrown, or the result that carries an `error`. */
  readonly failure: unknown;
  /** Its retry class: `transient` or `ambiguous`. */
  readonly kind: FailureKind;
}

/** The argument of an operation. */
export interface Attempt {
  /** The number of the attempt; 0 is the first. */
  readonly attempt: number;
  /** Aborts when the caller's signal does, and at the deadline. */
  readonly signal: AbortSignal;
}

/** Options for {@linkcode retry}. */
export interface RetryOptions {
  /** Maximum number of retries. Default: 3. */
  readonly retries?: number;
  /** Delay before the first retry, in ms; it doubles each time, lengthened at random by up to a half. Default: 100. */
  readonly delayMs?: number;
  /** Maximum of these delays, in ms. Default: 10,000. */
  readonly maxDelayMs?: number;
  /** Maximum duration of all attempts and delays together, in ms. Default: 60,000. */
  readonly deadlineMs?: number;
  /** True if the operation may run twice, so that an ambiguous failure may be retried. Default: false. */
  readonly idempotent?: boolean;
  /** Aborts the operation: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Classifies failures. Default: {@linkcode classifyFailure}. */
  readonly classify?: (failure: unknown) => FailureKind;
  /** Returns the failure behind one that a client has flattened, which is classified in its place. Default: itself. */
  readonly explain?: (failure: unknown) => unknown;
  /**
   * Returns the time that the caller has left, in ms: a server that asks for a longer wait is not waited for. Default:
   * no limit beside `deadlineMs`.
   */
  readonly timeLeftMs?: (() => number) | undefined;
  /** Bounds the retries of all operations that have it. Default: none. */
  readonly budget?: RetryBudget | undefined;
  /** Returns whether a retry after a failure takes from `budget`. Default: each does. */
  readonly isBudgeted?: (failure: unknown) => boolean;
  /** Called before each delay. What it throws or rejects with is ignored. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** Default: the isolate's own time. */
  readonly clock?: Clock;
  /** Returns numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Returns whether a value is a result of supabase-js of a call that failed. */
function isFailedResult(value: unknown): value is { readonly error: unknown } {
  return typeof value === "object" && value !== null && "error" in value && Boolean(value.error) && "data" in value;
}

function checkRange(name: string, value: number, least: number, most: number, whole: boolean): void {
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return;
  throw new RangeError(
    `${name} must be a ${whole ? "whole " : ""}number from ${least} to ${most.toLocaleString("en")}: it is ${value}`,
  );
}

/** The deadlines of the operations on each clock: most end long before theirs, and share one timer. */
const deadlines = new WeakMap<Clock, Deadlines>();

function deadlinesOf(clock: Clock): Deadlines {
  let known = deadlines.get(clock);
  if (!known) deadlines.set(clock, known = new Deadlines(clock));
  return known;
}

/** The maximum number of operations of an isolate that wait for circuits: an outage must not use up its memory. */
const MAX_WAITING = 1_000;

let waiting = 0;

type Outcome<T> = { readonly value: T; readonly failed: boolean } | { readonly thrown: unknown; readonly failed: true };

/**
 * Runs `operation` until it succeeds, fails permanently, or the retries or the time are used up.
 *
 * It fails by throwing, or by returning `{ data, error }` with an `error`, as supabase-js does. In the end the promise
 * settles as the last attempt did: it resolves with the returned value, `error` included, or rejects with the thrown
 * error, its causes untouched. Delays grow exponentially with jitter and are never shorter than what the server asked
 * for (`Retry-After`); if that is longer than the time left, there is no further attempt.
 *
 * A rejection by a circuit breaker does not count as an attempt: the operation waits until the circuit may close. At most
 * 1,000 operations of an isolate wait so; one more is rejected.
 *
 * Retries do not multiply: the attempts of a `retry` inside an attempt count as attempts of the outer one. Where both
 * allow 3 retries, an operation that keeps failing runs 4 times, not 16.
 *
 * @example
 * ```ts
 * const response = await retry(({ signal }) => fetch("https://example.com/", { signal }), { idempotent: true });
 * ```
 *
 * @throws {RetryTimeoutError} when an attempt still runs at the deadline. Its signal is aborted and its outcome ignored.
 * @throws {RangeError} when an option is out of range, naming it.
 * @throws the reason of `signal`, when it aborts.
 */
export async function retry<T>(
  operation: (attempt: Attempt) => PromiseLike<T> | T,
  options: RetryOptions = {},
): Promise<T> {
  const { retries = 3, delayMs = 100, maxDelayMs = 10_000, deadlineMs = 60_000, idempotent = false, signal } = options;
  const { classify = classifyFailure, explain, timeLeftMs, budget, isBudgeted, onRetry } = options;
  const { clock = systemClock, random } = options;
  checkRange("retries", retries, 0, 100, true);
  checkRange("delayMs", delayMs, 0, MAX_TIMER_MS, false);
  checkRange("maxDelayMs", maxDelayMs, 0, MAX_TIMER_MS, false);
  checkRange("deadlineMs", deadlineMs, 1, MAX_TIMER_MS, false);
  signal?.throwIfAborted();
  budget?.countRequest();

  const counter = new AttemptCounter(clock);
  const deadline = clock.now() + deadlineMs;
  const controller = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (reason: unknown) => {
    reject(reason);
    controller.abort(reason);
  };
  let last: unknown;
  let attempt = 0;
  let pause: Timer | undefined;
  let isWaiting = false;
  const beginWaiting = () => {
    isWaiting = true;
    waiting++;
  };
  const endWaiting = () => {
    if (isWaiting) waiting--;
    isWaiting = false;
  };

  async function run(): Promise<T> {
    for (;;) {
      counter.begin();
      const outcome = await attemptOnce(operation, { attempt, signal: controller.signal });
      if (!outcome.failed) return outcome.value;
      controller.signal.throwIfAborted();
      last = "thrown" in outcome ? outcome.thrown : outcome.value;
      const source = explain ? explain(last) : last;
      // It was not sent: it takes nothing of the budget, and does not count as an attempt unless an operator decides.
      const isRejected = source instanceof CircuitOpenError;
      const notSent = isRejected && source.retryAfterMs !== undefined;
      const attempts = notSent
        ? counter.attempts
        : counter.fail(source === last ? last : { error: last, cause: source });

      const kind = classify(source);
      const backoff = backoffDelayMs(attempt, { baseMs: delayMs, capMs: Math.max(maxDelayMs, delayMs) }, random);
      const askedMs = retryAfterMs(source) ?? 0;
      const delay = notSent ? Math.max(1, askedMs) : Math.max(backoff, askedMs);
      const mayRetry = kind === "transient" || (kind === "ambiguous" && idempotent);
      const isTooLate = clock.now() + delay >= deadline || (askedMs > 0 && askedMs >= (timeLeftMs?.() ?? Infinity));
      const isRefused = notSent ? retries === 0 || waiting >= MAX_WAITING : attempts > retries;
      const draws = !isRejected && (isBudgeted?.(source) ?? true);
      if (!mayRetry || isRefused || isTooLate || (draws && budget?.tryRetry() === false)) {
        return endAs(outcome, counter);
      }
      const event = { retry: attempt + 1, delayMs: delay, failure: last, kind };
      observe(() => onRetry?.(event), () => {}); // an observer decides nothing
      if (notSent) beginWaiting();
      await new Promise<void>((wake) => {
        // A caller awaits this: a script must not end here because nothing else is left to do.
        pause = clock.setTimer(wake, delay, { keepAlive: true });
      });
      endWaiting();
      // The abort and the timer may have come in one turn.
      controller.signal.throwIfAborted();
      // A frozen isolate goes on late: the timer of the deadline is due as well, but after this one.
      if (clock.now() >= deadline) return endAs(outcome, counter);
      if (!notSent) attempt++;
    }
  }

  const onAbort = () => abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = deadlinesOf(clock).start(deadlineMs, () => {
    abort(new RetryTimeoutError(deadlineMs, attempt + 1, last === undefined ? {} : { cause: errorOf(last) }));
  });
  try {
    // The promise is rejected directly: to listen to a signal of our own would cost more than the rest.
    run().then(resolve, reject);
    return await promise;
  } finally {
    timer.cancel();
    pause?.cancel();
    endWaiting();
    signal?.removeEventListener("abort", onAbort);
  }
}

async function attemptOnce<T>(
  operation: (attempt: Attempt) => PromiseLike<T> | T,
  attempt: Attempt,
): Promise<Outcome<T>> {
  try {
    const value = await operation(attempt);
    return { value, failed: isFailedResult(value) };
  } catch (thrown) {
    return { thrown, failed: true };
  }
}

/** Ends an operation as its last attempt did. */
function endAs<T>(outcome: Outcome<T>, counter: AttemptCounter): T {
  if ("thrown" in outcome) {
    counter.end(outcome.thrown);
    throw outcome.thrown;
  }
  counter.end(outcome.value);
  return outcome.value;
}

/** Returns the error of a failure, which may be a result that holds one. */
function errorOf(failure: unknown): unknown {
  return isFailedResult(failure) ? failure.error : failure;
}
