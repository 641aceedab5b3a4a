/**
 * `json` and `jsonb`.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { utf8At } from "../wire/bytes.ts";
import { inputText } from "./text.ts";
import { DecodeError, ValueError, valueError } from "./value_error.ts";

/** Deeper values are left to `JSON.stringify`, which finds cycles. */
const WALK_DEPTH = 200;

/** Classes whose JSON is `{}` or nonsense, although some of their objects have properties. */
const WITHOUT_JSON: ReadonlySet<string> = new Set([
  "Map",
  "Set",
  "WeakMap",
  "WeakSet",
  "WeakRef",
  "Promise",
  "RegExp",
  "Error",
  "ArrayBuffer",
  "SharedArrayBuffer",
  "DataView",
  "Headers",
  "FormData",
  "URLSearchParams",
  "Blob",
  "File",
  "Request",
  "Response",
  "ReadableStream",
  "WritableStream",
  "TransformStream",
  "Arguments",
]);

const REASON = "it has no form in JSON";

function hasToJson(value: object): value is { toJSON: unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}

/** Rejects objects that `JSON.stringify` would write without what is in them. */
function checkObject(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return;
  if (ArrayBuffer.isView(value) || value instanceof Error) throw valueError(value, REASON);
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (WITHOUT_JSON.has(tag) || typeof (value as { then?: unknown }).then === "function") {
    throw valueError(value, REASON);
  }
  const isPrimitive = tag === "String" || tag === "Number" || tag === "Boolean";
  if (!isPrimitive && Object.keys(value).length === 0) {
    throw valueError(value, "it has no properties of its own, so its JSON would be {}; spread it or give it toJSON()");
  }
}

/** Returns true if the value is fully checked; false if only `JSON.stringify` can see all of it. */
function check(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return true;
    case "number":
      if (!Number.isFinite(value)) throw valueError(value, REASON);
      return true;
    case "object":
      break;
    case "bigint":
      // A program may have given all of them a form.
      if (hasToJson(Object(value))) return false;
      throw valueError(value, "it has no form in JSON; pass a number or a string");
    default:
      throw valueError(value, REASON);
  }
  if (value === null) return true;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw valueError(value, "it is not an instant");
    return true;
  }
  if (depth > WALK_DEPTH) return false;
  let complete = true;
  if (Array.isArray(value)) {
    for (const item of value) if (!check(item, depth + 1)) complete = false;
    return complete;
  }
  if (ArrayBuffer.isView(value)) throw valueError(value, REASON);
  if (hasToJson(value)) return false;
  checkObject(value);
  for (const key of Object.keys(value)) {
    if (!check((value as Record<string, unknown>)[key], depth + 1)) complete = false;
  }
  return complete;
}

/** A replacer that checks what `toJSON` returned, and what lies deep. */
function checked(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key];
  if (raw instanceof Date || ArrayBuffer.isView(raw)) check(raw, 0);
  if (typeof value !== "object" || value === null) check(value, 0);
  else if (!Array.isArray(value)) checkObject(value);
  return value;
}

/**
 * Returns the JSON of a value.
 *
 * @throws {ValueError} if it has none, or only one without what is in it.
 */
export function jsonText(value: unknown): string {
  const complete = check(value, 0);
  let text: string | undefined;
  try {
    text = complete ? JSON.stringify(value) : JSON.stringify(value, checked);
  } catch (error) {
    if (error instanceof ValueError) throw error;
    if (error instanceof RangeError) throw valueError(value, "it is nested too deeply");
    if (error instanceof TypeError && /circular|cyclic/i.test(error.message)) {
      throw valueError(value, "it contains itself");
    }
    throw error;
  }
  if (text === undefined) throw valueError(value, REASON);
  return text;
}

function encode(value: unknown): string {
  // A string is the JSON text itself, as `pg` has it.
  return typeof value === "string" ? inputText(value) : jsonText(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the value.
    throw new DecodeError("Cannot read JSON: its text is malformed");
  }
}

/** `json`: its text is kept as it is. */
export const json: ValueFormat = {
  decodeText: parse,
  decodeBinary: (bytes, start, end) => parse(utf8At(bytes, start, end)),
  encode,
  survivesRetyping: () => true,
  isList: true,
};

/** The escapes that `JSON.stringify` writes for U+0000 and for a surrogate without its partner. */
const NOT_IN_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** `jsonb`. */
export const jsonb: ValueFormat = {
  decodeText: json.decodeText,
  // Behind the version of the format, which is 1.
  decodeBinary: (bytes, start, end) => parse(utf8At(bytes, start + 1, end)),
  encode(value) {
    if (typeof value === "string") return inputText(value);
    const text = jsonText(value);
    if (text.includes("\\u") && NOT_IN_JSONB.test(text)) {
      throw valueError(value, "jsonb cannot store U+0000 or a lone surrogate");
    }
    return text;
  },
  // jsonb sorts keys, and writes a space behind each colon and comma: what has neither is text that it keeps.
  survivesRetyping: (value) => typeof value === "boolean" || Number.isSafeInteger(value),
  isList: true,
};
