/**
 * Helpers for values that may be promises.
 *
 * @module
 */

/** Returns whether `value` is a promise or another thenable. */
export function isPromiseLike<R>(value: R | PromiseLike<R>): value is PromiseLike<R> {
  return value !== null && typeof value === "object" && "then" in value && typeof value.then === "function";
}

/**
 * Calls an observer and passes what it throws, or what its promise rejects
 * with, to `onError`. The promise is not awaited; an unhandled rejection would
 * end the isolate.
 */
export function observe(call: () => unknown, onError: (error: unknown) => void): void {
  try {
    const result = call();
    if (isPromiseLike(result)) result.then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}
