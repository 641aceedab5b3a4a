/**
 * What may be there already, and may be promised.
 *
 * @module
 */

/** Whether `value` has to be waited for. */
export function isPromiseLike<R>(value: R | PromiseLike<R>): value is PromiseLike<R> {
  return value !== null && typeof value === "object" && "then" in value && typeof value.then === "function";
}

/**
 * Calls an observer: whatever it throws, at once or by the promise it returns,
 * goes to `failed`. Nobody waits for it, and a rejection that nobody hears ends
 * an isolate.
 */
export function observe(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call();
    if (isPromiseLike(result)) result.then(undefined, failed);
  } catch (error) {
    failed(error);
  }
}
