/**
 * Abort signals: combined, and driven by a {@linkcode Clock}.
 *
 * To wait for a promise until a signal aborts, use `abortable` of `@std/async`.
 *
 * @module
 */
import type { Clock, TimerOptions } from "./clock.ts";

/**
 * Combines signals.
 *
 * @returns A signal that aborts with the first of `signals`; the signal itself where there is only one, and `undefined`
 * where there is none.
 */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  let first: AbortSignal | undefined;
  let several: AbortSignal[] | undefined;
  for (const signal of signals) {
    if (!signal) continue;
    if (first) (several ??= [first]).push(signal);
    else first = signal;
  }
  return several ? AbortSignal.any(several) : first;
}

/** A signal with a timeout. Disposing of it cancels the timer; the signal then never aborts. */
export interface TimeoutSignal extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Creates a signal that aborts after `timeoutMs`. It does what `AbortSignal.timeout` does, but on `clock`, with a
 * reason of the caller's choice, and without a timer once it is disposed of.
 *
 * @example
 * ```ts
 * using timeout = timeoutSignal(5_000, clock, () => new Error("The request timed out after 5000 ms"));
 * const response = await fetch("https://example.com/", { signal: timeout.signal });
 * ```
 *
 * @param reason Creates the signal's reason when the time is up.
 * @param options Whether the timer keeps the process alive. Default: it does not.
 */
export function timeoutSignal(
  timeoutMs: number,
  clock: Clock,
  reason: () => unknown,
  options?: TimerOptions,
): TimeoutSignal {
  const controller = new AbortController();
  const timer = clock.setTimer(() => controller.abort(reason()), timeoutMs, options);
  return { signal: controller.signal, [Symbol.dispose]: () => timer.cancel() };
}
