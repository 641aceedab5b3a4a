/**
 * Data of unknown origin as it may be logged.
 *
 * @module
 */
import { errorText, isErrorLike } from "./describe_error.ts";
import { cut, redact, withoutEmails } from "./redact.ts";

/** Maximum depth of data. Deeper values are replaced. */
const MAX_DEPTH = 4;
/** Maximum number of members of an object, and of items of a list. */
const MAX_MEMBERS = 32;
/** Maximum number of values of all depths. */
const MAX_VALUES = 200;
const MAX_TEXT = 1_000;
const MAX_NAME = 64;

/** Names of members whose values are never shown. */
const HIDDEN =
  /pass(?:word|wd|phrase)|^pass$|pwd|secret|token|jwt|authorization|cookie|credential|(?:api|private|access|role)[_-]?key/i;

function cleanText(text: string, maxLength: number): string {
  return cut(withoutEmails(redact(text)), maxLength);
}

/** The first integer without a text: that of a long one takes time that grows faster than its digits. */
const MAX_INTEGER = 10n ** 100n;

function integerText(value: bigint): string {
  return value < MAX_INTEGER && value > -MAX_INTEGER ? value.toString() : "[bigint]";
}

/** Returns the text of a date, without calling a method of its own. */
function dateText(date: Date): string {
  const { getTime, toISOString } = Date.prototype;
  return Number.isNaN(getTime.call(date)) ? "Invalid Date" : toISOString.call(date);
}

/**
 * Returns a copy of `data` that JSON can hold: bounded in depth and size, without credentials, without calling
 * `toJSON`. An error is shown as a text without the values of rows, and what cannot be read is replaced by one.
 */
export function plainData(data: object): Record<string, unknown> {
  let left = MAX_VALUES;
  const copy = (value: unknown, depth: number): unknown => {
    if (left-- <= 0) return "[more]";
    switch (typeof value) {
      case "string":
        return cleanText(value, MAX_TEXT);
      case "number":
      case "boolean":
        return value;
      case "object":
        return value === null ? null : copyObject(value, depth);
      case "undefined":
        return undefined;
      default:
        return typeof value === "bigint" ? integerText(value) : `[${typeof value}]`;
    }
  };
  const copyObject = (value: object, depth: number): unknown => {
    if (depth >= MAX_DEPTH) return "[deeper]";
    try {
      if (value instanceof Date) return dateText(value);
      if (isErrorLike(value)) return errorText(value, MAX_TEXT);
      if (ArrayBuffer.isView(value)) return `[${Number(value.byteLength)} bytes]`;
      if (Array.isArray(value)) return copyItems(value, depth);
      return copyMembers(value, depth);
    } catch {
      return "[unreadable]";
    }
  };
  // A subclass may have methods of its own, which could return anything.
  const copyItems = (value: object, depth: number): unknown[] => {
    const length = Math.min(Number(Reflect.get(value, "length")) || 0, MAX_MEMBERS);
    return Array.from({ length }, (_, index) => copyMember(value, index, depth));
  };
  const copyMembers = (value: object, depth: number): Record<string, unknown> => {
    const members: [string, unknown][] = [];
    for (const name in value) {
      if (!Object.hasOwn(value, name)) continue;
      if (members.length === MAX_MEMBERS) break;
      members.push([cleanText(name, MAX_NAME), HIDDEN.test(name) ? "[hidden]" : copyMember(value, name, depth)]);
    }
    return Object.fromEntries(members);
  };
  const copyMember = (value: object, name: PropertyKey, depth: number): unknown => {
    try {
      return copy(Reflect.get(value, name), depth + 1);
    } catch {
      return "[unreadable]";
    }
  };
  const copied = copyObject(data, 0);
  return typeof copied === "object" && copied !== null ? { ...copied } : { value: copied };
}
