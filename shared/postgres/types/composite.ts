/**
 * Composites: row types and types created with CREATE TYPE.
 *
 * @module
 */
import type { Codec, ValueFormat } from "./codec.ts";
import { int32At } from "../wire/bytes.ts";
import { inputText, textOf } from "./text.ts";
import { DecodeError, valueError, wrongSize } from "./value_error.ts";

/** An attribute of a composite. */
export interface Attribute {
  readonly name: string;
  readonly codec: Codec;
}

const QUOTE = 34;
const COMMA = 44;
const CLOSE = 41;
const BACKSLASH = 92;

function mismatch(): DecodeError {
  return new DecodeError("Cannot read a composite: its attributes have changed while the statement ran; run it again");
}

/** Splits the text of a composite, `(1,,"a ""b""")`; an empty field is null. */
export function splitRecord(text: string): (string | null)[] {
  const fields: (string | null)[] = [];
  // A composite without attributes.
  if (text === "()") return fields;
  let at = 1;
  for (;;) {
    const start = at;
    let field = "";
    let from = at;
    let inQuotes = false;
    for (;; at++) {
      const code = text.charCodeAt(at);
      if (code !== code) throw new DecodeError("Cannot read a composite: its text is malformed");
      if (code === BACKSLASH || (inQuotes && code === QUOTE && text.charCodeAt(at + 1) === QUOTE)) {
        field += text.slice(from, at);
        from = ++at;
      } else if (code === QUOTE) {
        field += text.slice(from, at);
        from = at + 1;
        inQuotes = !inQuotes;
      } else if (!inQuotes && (code === COMMA || code === CLOSE)) break;
    }
    fields.push(at === start ? null : field + text.slice(from, at));
    if (text.charCodeAt(at++) === CLOSE) return fields;
  }
}

const SPECIAL = /["\\(),\s]/;

function quote(field: string): string {
  return field !== "" && !SPECIAL.test(field) ? field : `"${field.replace(/["\\]/g, "$&$&")}"`;
}

/** Returns the format of a composite, read as an object. */
export function compositeOf(attributes: readonly Attribute[]): ValueFormat {
  const names = attributes.map(({ name }) => name);
  const codecs = attributes.map(({ codec }) => codec);
  const known = new Set(names);
  /** An object of nulls to copy: all keys exist, and `__proto__` is a name like any other. */
  const empty: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, null]));
  const isBinary = codecs.every((codec) => codec.binary);

  return {
    decodeText(text) {
      const fields = splitRecord(text);
      // One attribute that is null has the text of none.
      if (fields.length !== names.length && !(fields.length === 0 && names.length === 1)) throw mismatch();
      const value = { ...empty };
      for (let index = 0; index < fields.length; index++) {
        const field = fields[index];
        if (typeof field === "string") value[names[index] as string] = (codecs[index] as Codec).decodeText(field);
      }
      return value;
    },
    decodeBinary: !isBinary ? undefined : (bytes, start, end) => {
      if (int32At(bytes, start) !== names.length) throw mismatch();
      const value = { ...empty };
      let at = start + 4;
      for (let index = 0; index < names.length; index++) {
        const codec = codecs[index] as Codec;
        if (int32At(bytes, at) >>> 0 !== codec.oid) throw mismatch();
        const size = int32At(bytes, at + 4);
        at += 8;
        if (size < 0) continue;
        if (at + size > end) throw wrongSize();
        value[names[index] as string] = codec.decodeBinary?.(bytes, at, at + size);
        at += size;
      }
      return value;
    },
    encode(value) {
      if (typeof value === "string") return inputText(value);
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw valueError(value, "expected an object of its attributes");
      }
      const keys = Object.keys(value);
      const prototype: unknown = Object.getPrototypeOf(value);
      if (keys.length === 0 && prototype !== Object.prototype && prototype !== null) {
        throw valueError(value, "expected an object of its attributes");
      }
      const stray = keys.find((key) => !known.has(key));
      if (stray !== undefined) throw valueError(value, `the type has no attribute "${stray}"`);
      return `(${
        codecs.map((codec, index) => {
          const name = names[index] as string;
          const field: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
          return field === null || field === undefined ? "" : quote(textOf(codec.encode(field)));
        }).join(",")
      })`;
    },
    // The attributes may change, and the text holds them by their order.
    survivesRetyping: () => false,
  };
}
