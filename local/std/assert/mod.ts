/**
 * The assertions of `jsr:@std/assert` that this project uses, on
 * `node:assert`, for machines that reach the npm registry only.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

/** The error of an assertion that does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

// deno-lint-ignore no-explicit-any -- the real package types constructors so
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

function fail(message: string, hint?: string): never {
  throw new AssertionError(hint === undefined ? message : `${message}: ${hint}`);
}

function check(compare: () => void, hint?: string): void {
  try {
    compare();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), hint);
  }
}

/** Asserts that `value` is truthy. */
export function assert(value: unknown, msg = ""): asserts value {
  if (!value) fail(msg || "Expected the value to be truthy");
}

/** Asserts that `value` is falsy. */
export function assertFalse(value: unknown, msg = ""): void {
  if (value) fail(msg || "Expected the value to be falsy");
}

/** Asserts that both are equal, compared deeply. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  check(() => nodeAssert.deepStrictEqual(actual, expected), msg);
}

/** Asserts that both differ, compared deeply. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) fail("Expected the values to differ", msg);
}

/** Asserts that both are the same value, as `Object.is` has it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  check(() => nodeAssert.strictEqual(actual, expected), msg);
}

/** Asserts that both are not the same value, as `Object.is` has it. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) fail("Expected two different values", msg);
}

/** Asserts that `value` is neither `null` nor `undefined`. */
export function assertExists<T>(value: T, msg?: string): asserts value is NonNullable<T> {
  if (value === null || value === undefined) fail(`Expected a value, got ${value}`, msg);
}

/** Asserts that `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) fail(`Expected ${actual} > ${expected}`, msg);
}

/** Asserts that `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) fail(`Expected ${actual} >= ${expected}`, msg);
}

/** Asserts that `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) fail(`Expected ${actual} < ${expected}`, msg);
}

/** Asserts that `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) fail(`Expected ${actual} <= ${expected}`, msg);
}

/** Asserts that `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) {
    fail(`Expected ${JSON.stringify(actual)} to include ${JSON.stringify(expected)}`, msg);
  }
}

/** Asserts that `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fail(`Expected ${JSON.stringify(actual)} to match ${expected}`, msg);
}

/** Asserts that `actual` does not match `expected`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) fail(`Expected ${JSON.stringify(actual)} not to match ${expected}`, msg);
}

/** Asserts that `actual` holds at least the members of `expected`, deeply. */
export function assertObjectMatch(
  actual: Record<PropertyKey, unknown>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  const pick = (from: unknown, shape: unknown): unknown => {
    if (Array.isArray(shape) || shape === null || typeof shape !== "object") return from;
    if (from === null || typeof from !== "object") return from;
    return Object.fromEntries(
      Object.entries(shape)
        .filter(([key]) => key in from)
        .map(([key, inner]) => [key, pick((from as Record<string, unknown>)[key], inner)]),
    );
  };
  check(() => nodeAssert.deepStrictEqual(pick(actual, expected), expected), msg);
}

/** Asserts that `actual` is an instance of `expected`. */
export function assertInstanceOf<E>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any -- the real package types constructors so
  expected: abstract new (...args: any[]) => E,
  msg?: string,
): asserts actual is E {
  if (!(actual instanceof expected)) {
    fail(`Expected an instance of ${expected.name}, got ${Object.prototype.toString.call(actual)}`, msg);
  }
}

function checkError<E extends Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): void {
  if (!(error instanceof Error)) fail("Expected an Error to be thrown", msg);
  if (errorClass) assertInstanceOf(error, errorClass, msg ?? `"${error.name}: ${error.message}"`);
  if (msgIncludes !== undefined) assertStringIncludes(error.message, msgIncludes, msg);
}

/** Asserts that `fn` throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that `fn` throws an `errorClass` whose message has `msgIncludes`, and returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  let thrown: { error: unknown } | undefined;
  try {
    fn();
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) fail("Expected the function to throw", msg);
  if (typeof errorClass === "function") checkError(thrown.error, errorClass, msgIncludes, msg);
  return thrown.error;
}

/** Asserts that the promise of `fn` rejects, and resolves with the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that the promise of `fn` rejects with an `errorClass` whose message has `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let thrown: { error: unknown } | undefined;
  try {
    await fn();
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) fail("Expected the promise to reject", msg);
  if (typeof errorClass === "function") checkError(thrown.error, errorClass, msgIncludes, msg);
  return thrown.error;
}
