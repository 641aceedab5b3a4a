/**
 * Types whose values are strings.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { temporalText } from "./temporal.ts";
import { utf8At } from "../wire/bytes.ts";
import { inputText } from "./text.ts";
import { instantText } from "./instant.ts";
import { checkSize, valueError } from "./value_error.ts";

function itself(text: string): string {
  return text;
}

function never(): boolean {
  return false;
}

/** Encodes what has one evident text: objects and arrays have none. */
function encodeText(value: unknown): string {
  switch (typeof value) {
    case "string":
      return inputText(value);
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value instanceof Date) return instantText(value);
  const text = temporalText(value);
  if (text !== undefined) return text;
  const isData = Array.isArray(value) || Object.prototype.toString.call(value) === "[object Object]";
  throw valueError(value, isData ? "expected a string; use JSON.stringify to store it as JSON" : "expected a string");
}

/** `text`, `varchar` and the like: no type that text is cast to by itself reads it otherwise. */
export const text: ValueFormat = {
  decodeText: itself,
  decodeBinary: utf8At,
  encode: encodeText,
  survivesRetyping: () => true,
};

/** `character`: the cast to text drops spaces at the end. */
export const bpchar: ValueFormat = {
  ...text,
  survivesRetyping: (value) => typeof value !== "string" || !value.endsWith(" "),
};

/** The most characters of a name that its 63 bytes hold in any case: three bytes for each. */
const NAME_LENGTH = 21;

/** `name`: longer ones are cut at 63 bytes. */
export const name: ValueFormat = {
  ...text,
  survivesRetyping: (value) => typeof value !== "string" || value.length <= NAME_LENGTH,
};

/** `"char"`: one byte. Its binary form is a byte that need not be UTF-8. */
export const char: ValueFormat = { ...text, decodeBinary: undefined, survivesRetyping: never };

/** Base types of extensions, such as `citext`, `hstore`, `vector`, `geometry`: nothing is known but their text. */
export const other: ValueFormat = { ...text, decodeBinary: undefined, survivesRetyping: never };

/** Encodes strings alone. */
function encodeString(value: unknown): string {
  if (typeof value === "string") return inputText(value);
  throw valueError(value, "expected a string");
}

/** Types whose text the server rewrites, or whose casts read it otherwise: `inet`, `tsvector`, `polygon` and so on. */
export const opaque: ValueFormat = {
  decodeText: itself,
  decodeBinary: undefined,
  encode: encodeString,
  survivesRetyping: never,
};

/** `xml`: the cast to text keeps it as it is. */
export const xml: ValueFormat = { ...opaque, survivesRetyping: () => true };

/** Enums: a label is its text, also in binary. */
export const enumeration: ValueFormat = { ...opaque, decodeBinary: utf8At, survivesRetyping: () => true };

/** The types `regclass`, `regtype` and so on: a name or an oid. */
export const reg: ValueFormat = {
  ...opaque,
  encode(value) {
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 4_294_967_295) {
      return String(value);
    }
    if (typeof value === "string") return inputText(value);
    throw valueError(value, "expected a name or an oid");
  },
};

/** `int2vector` and `oidvector`: numbers with spaces between. */
export const vector: ValueFormat = {
  ...opaque,
  encode(value) {
    if (!Array.isArray(value)) return encodeString(value);
    const other = value.findIndex((item) => !Number.isInteger(item));
    if (other >= 0) throw valueError(value[other], "expected integers");
    return value.join(" ");
  },
  isList: true,
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** `uuid`. */
export const uuid: ValueFormat = {
  decodeText: itself,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 16);
    const hex = (from: number, to: number) => {
      let part = "";
      for (let at = start + from; at < start + to; at++) part += HEX[bytes[at] as number];
      return part;
    };
    return `${hex(0, 4)}-${hex(4, 6)}-${hex(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
  },
  encode: encodeString,
  // Under text another spelling would stay as it is.
  survivesRetyping: (value) => typeof value === "string" && UUID.test(value),
};

const BITS = /^[01]+$/;

/** `bit` and `bit varying`. */
export const bits: ValueFormat = {
  ...opaque,
  encode: (value) => value === 0 || value === 1 ? String(value) : encodeString(value),
  survivesRetyping: (value) => value === 0 || value === 1 || BITS.test(String(value)),
};
