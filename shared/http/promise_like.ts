/**
 * What may be there already, and may be promised.
 *
 * @module
 */

/** Whether `value` is to be awaited. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
