/**
 * Trying again, within limits.
 *
 * @module
 */
import { backoffDelayMs } from "./backoff.ts";
import { type Clock, MAX_TIMER_MS, systemClock } from "./clock.ts";
import { type HttpDescription, UPSTREAM_TIMEOUT } from "./error_class.ts";
import { classifyFailure, type FailureKind, retryAfterMs } from "./failure.ts";
import { observe } from "./promise_like.ts";

/**
 * An attempt still ran at the deadline of an operation and its retries; `cause` is the last failure, if any.
 *
 * @cause The operation is slow, or fails again and again.
 * @fix Make the operation faster, or raise `deadlineMs`.
 * @sample new RetryTimeoutError(60_000, 3)
 */
export class RetryTimeoutError extends Error {
  static readonly code = "RETRY_TIMEOUT";
  static readonly retry = "permanent";
  static readonly http = { ...UPSTREAM_TIMEOUT, detail: "The operation timed out" };

  /** Stable across releases. */
  readonly code = RetryTimeoutError.code;
  override readonly name = "RetryTimeoutError";

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

  /** How an HTTP response reports the error. */
  get http(): HttpDescription {
    return RetryTimeoutError.http;
  }
}

/** What is known of a failure when it is about to be retried. */
export interface RetryEvent {
  /** Which retry is to come; 1 is the first. */
  readonly retry: number;
  /** How long it waits, in ms. */
  readonly delayMs: number;
  /** What was thrown, or the result that carries an `error`. */
  readonly failure: unknown;
  /** `transient` or `ambiguous`. */
  readonly kind: FailureKind;
}

/** What an attempt is told. */
export interface Attempt {
  /** 0 is the first. */
  readonly attempt: number;
  /** Aborts when the caller gives up or the time is over. */
  readonly signal: AbortSignal;
}

/** Options of {@linkcode retry}. */
export interface RetryOptions {
  /** How often to try again; 0 is never. Default: 3. */
  readonly retries?: number;
  /** Delay before the first retry, in ms; it doubles each time, lengthened at random by up to a half. Default: 100. */
  readonly delayMs?: number;
  /** No delay of ours is longer, in ms. Default: 10,000. */
  readonly maxDelayMs?: number;
  /** All attempts and delays together, in ms. Default: 60,000. */
  readonly deadlineMs?: number;
  /** Whether doing it twice is as good as once, so that an ambiguous failure may be retried. Default: false. */
  readonly idempotent?: boolean;
  /** Gives up: the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Judges failures. Default: {@linkcode classifyFailure}. */
  readonly classify?: (failure: unknown) => FailureKind;
  /** Told before each delay. What it throws, or what it returns is rejected with, is ignored. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** Default: the isolate's own. */
  readonly clock?: Clock;
  /** Yields numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** A result as supabase-js returns it, of a call that failed. */
function isFailedResult(value: unknown): boolean {
  return typeof value === "object" && value !== null && "error" in value && Boolean(value.error) && "data" in value;
}

function checkRange(name: string, value: number, least: number, most: number, whole: boolean): void {
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return;
  throw new RangeError(
    `${name} is ${value}; it must be a ${whole ? "whole " : ""}number from ${least} to ${most.toLocaleString("en")}`,
  );
}

type Outcome<T> = { readonly value: T; readonly failed: boolean } | { readonly thrown: unknown; readonly failed: true };

/**
 * Runs `operation` until it succeeds, fails for good, or the retries or the
 * time are used up.
 *
 * It fails by throwing, or by returning `{ data, error }` with an `error`, as
 * supabase-js does. In the end the promise settles as the last attempt did: it
 * resolves with what was returned, `error` included, or rejects with what was
 * thrown, its causes untouched. Delays grow exponentially with jitter and are
 * never shorter than what the far side asked for (`Retry-After`); when that is
 * more than the time left, there is no further attempt.
 *
 * @throws {RetryTimeoutError} when an attempt still runs at the deadline. Its
 * signal is aborted and its outcome ignored.
 * @throws {RangeError} when an option is out of range, naming it.
 * @throws the reason of `signal`, when it aborts.
 */
export async function retry<T>(
  operation: (attempt: Attempt) => PromiseLike<T> | T,
  options: RetryOptions = {},
): Promise<T> {
  const { retries = 3, delayMs = 100, maxDelayMs = 10_000, deadlineMs = 60_000, idempotent = false, signal } = options;
  const { classify = classifyFailure, onRetry, clock = systemClock, random } = options;
  checkRange("retries", retries, 0, 100, true);
  checkRange("delayMs", delayMs, 0, MAX_TIMER_MS, false);
  checkRange("maxDelayMs", maxDelayMs, 0, MAX_TIMER_MS, false);
  checkRange("deadlineMs", deadlineMs, 1, MAX_TIMER_MS, false);
  signal?.throwIfAborted();

  const deadline = clock.now() + deadlineMs;
  const controller = new AbortController();
  let last: unknown;
  let attempt = 0;

  const { promise: stopped, reject } = Promise.withResolvers<never>();
  stopped.catch(() => {}); // nobody may be waiting when it stops
  const stop = (reason: unknown) => {
    reject(reason);
    controller.abort(reason);
  };
  const aborted = () => stop(signal?.reason);
  signal?.addEventListener("abort", aborted, { once: true });
  const timer = clock.setTimer(() => {
    stop(new RetryTimeoutError(deadlineMs, attempt + 1, last === undefined ? {} : { cause: causeOf(last) }));
  }, deadlineMs);

  try {
    for (;; attempt++) {
      const outcome = await Promise.race([attemptOnce(operation, { attempt, signal: controller.signal }), stopped]);
      if (!outcome.failed) return settle(outcome);
      last = "thrown" in outcome ? outcome.thrown : outcome.value;
      const kind = classify(last);
      if (attempt >= retries || kind === "permanent" || (kind === "ambiguous" && !idempotent)) return settle(outcome);

      const backoff = backoffDelayMs(attempt, { baseMs: delayMs, capMs: Math.max(maxDelayMs, delayMs) }, random);
      const delay = Math.max(backoff, retryAfterMs(last) ?? 0);
      if (clock.now() + delay >= deadline) return settle(outcome);
      const event = { retry: attempt + 1, delayMs: delay, failure: last, kind };
      observe(() => onRetry?.(event), () => {}); // an observer decides nothing
      await sleep(delay, clock, stopped);
    }
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", aborted);
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

function settle<T>(outcome: Outcome<T>): T {
  if ("thrown" in outcome) throw outcome.thrown;
  return outcome.value;
}

/** The error itself, where the failure is a result that holds one. */
function causeOf(failure: unknown): unknown {
  return isFailedResult(failure) ? (failure as { error: unknown }).error : failure;
}

async function sleep(delayMs: number, clock: Clock, stopped: Promise<never>): Promise<void> {
  const { promise: woken, resolve } = Promise.withResolvers<void>();
  // Somebody awaits this: a script must not end in the middle because nothing else is left to do.
  const timer = clock.setTimer(resolve, delayMs, { keepAlive: true });
  try {
    await Promise.race([woken, stopped]);
  } finally {
    timer.cancel();
  }
}
