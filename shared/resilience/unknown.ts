/**
 * Reads values of unknown origin: whatever was thrown, what other libraries return, and what may be a promise.
 *
 * @module
 */

/** Returns the member `key` of `value`, or `undefined` where `value` has no members or its getter throws. */
export function memberOf(value: unknown, key: PropertyKey): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

/** Returns the member `key` of `value` if it is a string, or `undefined`. */
export function textOf(value: unknown, key: PropertyKey): string | undefined {
  const member = memberOf(value, key);
  return typeof member === "string" ? member : undefined;
}

/** Returns the fields of an object, and none of any other value. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
}

/** Returns a number that is positive and finite, and 0 for any other value. */
export function countOf(value: unknown): number {
  return typeof value === "number" && value > 0 && value < Infinity ? value : 0;
}

/** Returns the `code` of an error if it is a string, or `undefined`. */
export function codeOf(error: unknown): string | undefined {
  return textOf(error, "code");
}

/** Returns the `message` of an error, or the text of whatever else was thrown. */
export function messageOf(error: unknown): string {
  const message = textOf(error, "message");
  if (message !== undefined) return message;
  try {
    return String(error);
  } catch {
    return `a thrown ${typeof error} without a text`;
  }
}

/** Returns what was thrown if it is an error, or an error with its text. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

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
