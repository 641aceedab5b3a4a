/**
 * Values that cannot be sent or read.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * A value that the type of its parameter cannot hold. The statement's error wraps it, and adds the number and the type
 * of the parameter. Neither part holds the value of a string.
 *
 * @internal
 */
export class ValueError extends TypeError {
  override readonly name = "ValueError";
  /** The kind of value that was given, e.g. `a Map` or `the number 1.5`. */
  readonly given: string;
  /** The reason and the way out. */
  readonly reason: string;

  constructor(given: string, reason: string) {
    super(`${given}: ${reason}`);
    this.given = given;
    this.reason = reason;
  }
}

/**
 * A result cannot be read as its type. The statement has run. The message holds no part of the value.
 *
 * @cause `DateStyle` is not ISO and the value was sent as text; or the server sent what its type does not allow.
 * @fix Leave `DateStyle` at ISO, which each connection begins with: `SET`, `set_config` and functions can change it.
 * @sample new DecodeError("Cannot read a date: its text is not in the ISO format")
 */
export class DecodeError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "RESULT_UNREADABLE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;
}

/**
 * Checks the size of a binary value: one of another type would be read as a wrong value.
 *
 * @param size The size of the type's values, in bytes.
 * @throws {DecodeError} if it has another size.
 */
export function checkSize(start: number, end: number, size: number): void {
  if (end - start !== size) throw wrongSize();
}

/** Creates the error of a binary value that does not have the size it should have. */
export function wrongSize(): DecodeError {
  return new DecodeError("Cannot read a binary value: its size is not that of its type");
}

/** Objects whose class says what they are: the value itself is never shown. */
function kindOfObject(value: object): string {
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date";
  let name: unknown;
  try {
    name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  } catch {
    // A proxy or a getter may throw.
  }
  if (typeof name !== "string" || !/^[\w.]{1,60}$/.test(name) || name === "Object") return "an object";
  return /^[AEIO]/i.test(name) ? `an ${name}` : `a ${name}`;
}

/** Describes the kind of a value for an error message, without what may be personal: strings are never quoted. */
export function kindOf(value: unknown): string {
  switch (typeof value) {
    case "string":
      return "a string";
    case "number":
      return `the number ${Object.is(value, -0) ? "-0" : value}`;
    case "bigint":
      return `the bigint ${value.toString().length > 40 ? "of more than 40 digits" : value}`;
    case "boolean":
      return `the boolean ${value}`;
    case "object":
      return value === null ? "null" : kindOfObject(value);
    default:
      return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
  }
}

/**
 * Creates the error of a value that its type does not take.
 *
 * @param reason The values that the type takes, or the reason, e.g. `expected an integer`.
 */
export function valueError(value: unknown, reason: string): ValueError {
  return new ValueError(kindOf(value), reason);
}
