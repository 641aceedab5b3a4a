/**
 * Data of unknown origin as it may be logged.
 *
 * @module
 */
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
const HIDDEN = /pass(?:word|wd|phrase)|secret|token|authorization|cookie|credential|api[_-]?key/i;

function cleanText(text: string, maxLength: number): string {
  return cut(withoutEmails(redact(text)), maxLength);
}

/**
 * Returns a copy of `data` that JSON can hold: bounded in depth and size, without credentials, without calling
 * `toJSON`. What cannot be read is replaced by a text.
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
        return typeof value === "bigint" ? cleanText(value.toString(), MAX_TEXT) : `[${typeof value}]`;
    }
  };
  const copyObject = (value: object, depth: number): unknown => {
    if (depth >= MAX_DEPTH) return "[deeper]";
    try {
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
      if (value instanceof Error) return cleanText(`${value.name}: ${value.message}`, MAX_TEXT);
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
      if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((item) => copy(item, depth + 1));
      return copyMembers(value, depth);
    } catch {
      return "[unreadable]";
    }
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
  const copyMember = (value: object, name: string, depth: number): unknown => {
    try {
      return copy(Reflect.get(value, name), depth + 1);
    } catch {
      return "[unreadable]";
    }
  };
  const copied = copyObject(data, 0);
  return typeof copied === "object" && copied !== null ? { ...copied } : { value: copied };
}
