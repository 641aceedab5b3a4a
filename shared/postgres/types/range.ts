/**
 * Ranges and multiranges.
 *
 * @module
 */
import type { Codec, ValueFormat } from "./codec.ts";
import { int32At } from "../wire/bytes.ts";
import { inputText, textOf } from "./text.ts";
import { DecodeError, valueError, wrongSize } from "./value_error.ts";

/** A range. A bound that is null is unbounded. */
export interface PostgresRange<T = unknown> {
  /** The lower bound. */
  lower: T | null;
  /** The upper bound. */
  upper: T | null;
  /** A bracket includes the bound, a parenthesis does not. */
  bounds: "[]" | "[)" | "(]" | "()" | "empty";
}

const QUOTE = 34;
const BACKSLASH = 92;

// Flags of the binary form (PostgreSQL, rangetypes.h).
const EMPTY = 0x01;
const LOWER_INCLUSIVE = 0x02;
const UPPER_INCLUSIVE = 0x04;
const LOWER_INFINITE = 0x08;
const UPPER_INFINITE = 0x10;

function malformed(): DecodeError {
  return new DecodeError("Cannot read a range: its text is malformed");
}

function emptyRange(): PostgresRange {
  return { lower: null, upper: null, bounds: "empty" };
}

/** Reads the bound that begins at `from`, up to one of `ends`. */
function readBound(text: string, from: number, ends: string): { bound: string | null; at: number } {
  let bound = "";
  let start = from;
  let inQuotes = false;
  for (let at = from;; at++) {
    const code = text.charCodeAt(at);
    if (code !== code) throw malformed();
    if (code === BACKSLASH || (inQuotes && code === QUOTE && text.charCodeAt(at + 1) === QUOTE)) {
      bound += text.slice(start, at);
      start = ++at;
    } else if (code === QUOTE) {
      bound += text.slice(start, at);
      start = at + 1;
      inQuotes = !inQuotes;
    } else if (!inQuotes && ends.includes(text.charAt(at))) {
      return { bound: at === from ? null : bound + text.slice(start, at), at };
    }
  }
}

/** Reads the range that begins at `from`. */
function parseRange(
  text: string,
  from: number,
  decode: (text: string) => unknown,
): { range: PostgresRange; at: number } {
  const open = text.charAt(from);
  const lower = readBound(text, from + 1, ",");
  const upper = readBound(text, lower.at + 1, ")]");
  const close = text.charAt(upper.at);
  return {
    range: {
      lower: lower.bound === null ? null : decode(lower.bound),
      upper: upper.bound === null ? null : decode(upper.bound),
      bounds: `${open}${close}` as PostgresRange["bounds"],
    },
    at: upper.at + 1,
  };
}

const SPECIAL = /["\\()[\],\s]/;

function quote(bound: string): string {
  return bound !== "" && !SPECIAL.test(bound) ? bound : `"${bound.replace(/["\\]/g, "$&$&")}"`;
}

/** The members of a range. Those of other libraries' classes say how its bounds are, and must not be ignored. */
const MEMBERS: ReadonlySet<string> = new Set(["lower", "upper", "bounds"]);

const BOUNDS: ReadonlySet<unknown> = new Set(["[]", "[)", "(]", "()", "empty"]);

/** Returns the format of ranges of a type. */
export function rangeOf(bound: Codec): ValueFormat {
  const { decodeText, decodeBinary } = bound;
  const boundText = (value: unknown) => value === null || value === undefined ? "" : quote(textOf(bound.encode(value)));
  return {
    decodeText: (text) => text === "empty" ? emptyRange() : parseRange(text, 0, decodeText).range,
    decodeBinary: decodeBinary && ((bytes, start, end) => {
      const flags = bytes[start] as number;
      if (flags & EMPTY) return emptyRange();
      let at = start + 1;
      const read = () => {
        const from = at + 4;
        at = from + int32At(bytes, at);
        if (at < from || at > end) throw wrongSize();
        return decodeBinary(bytes, from, at);
      };
      return {
        lower: flags & LOWER_INFINITE ? null : read(),
        upper: flags & UPPER_INFINITE ? null : read(),
        bounds: `${flags & LOWER_INCLUSIVE ? "[" : "("}${flags & UPPER_INCLUSIVE ? "]" : ")"}`,
      };
    }),
    encode(value) {
      if (typeof value === "string") return inputText(value);
      if (typeof value !== "object" || value === null || !("lower" in value || "upper" in value || "bounds" in value)) {
        throw valueError(value, "expected { lower, upper, bounds } or a string");
      }
      const stray = Object.keys(value).find((key) => !MEMBERS.has(key));
      if (stray !== undefined) throw valueError(value, `a range is { lower, upper, bounds }, without "${stray}"`);
      const { lower, upper, bounds = "[)" } = value as Partial<PostgresRange>;
      if (!BOUNDS.has(bounds)) throw valueError(value, "its bounds must be [], [), (], () or empty");
      return bounds === "empty" ? bounds : `${bounds[0]}${boundText(lower)},${boundText(upper)}${bounds[1]}`;
    },
    // The server writes `[1,3]` as `[1,4)`.
    survivesRetyping: () => false,
  };
}

/** Returns the format of multiranges of a range type, read as arrays of ranges. */
export function multirangeOf(range: Codec, bound: Codec): ValueFormat {
  const { decodeBinary } = range;
  return {
    decodeText(text) {
      const ranges: PostgresRange[] = [];
      for (let at = 1; at < text.length - 1; at++) {
        const read = parseRange(text, at, bound.decodeText);
        ranges.push(read.range);
        // Behind it a comma or the end.
        at = read.at;
      }
      return ranges;
    },
    decodeBinary: decodeBinary && ((bytes, start, end) => {
      const count = int32At(bytes, start);
      const ranges: unknown[] = [];
      let at = start + 4;
      for (let index = 0; index < count; index++) {
        const from = at + 4;
        at = from + int32At(bytes, at);
        if (at <= from || at > end) throw wrongSize();
        ranges.push(decodeBinary(bytes, from, at));
      }
      return ranges;
    }),
    encode(value) {
      if (typeof value === "string") return inputText(value);
      if (!Array.isArray(value)) throw valueError(value, "expected an array of ranges");
      return `{${value.map((item) => textOf(range.encode(item))).join(",")}}`;
    },
    survivesRetyping: () => false,
    isList: true,
  };
}
