/**
 * Values that nobody changes any more.
 *
 * @module
 */

/**
 * Freezes `value` and everything in it, and returns it. Not recursive: the
 * claims of a token hold what its user wrote, nested as deep as a header is long.
 */
export function deepFreeze<T>(value: T): T {
  const rest: unknown[] = [value];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next !== "object" || next === null || Object.isFrozen(next)) continue;
    for (const inner of Object.values(Object.freeze(next))) {
      if (typeof inner === "object" && inner !== null) rest.push(inner);
    }
  }
  return value;
}
