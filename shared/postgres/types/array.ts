/**
 * Arrays.
 *
 * @module
 */
import type { Codec, ValueFormat } from "./codec.ts";
import { int32At } from "../wire/bytes.ts";
import { inputText, textOf } from "./text.ts";
import { uint32At } from "./numbers.ts";
import { DecodeError, valueError, wrongSize } from "./value_error.ts";

/** The most dimensions of an array (PostgreSQL, `MAXDIM`). */
const MAX_DIMENSIONS = 6;

const OPEN = 123;
const CLOSE = 125;
const QUOTE = 34;
const BACKSLASH = 92;

function malformed(): DecodeError {
  return new DecodeError("Cannot read an array: its text is malformed");
}

/** Reads the text of an array: `{1,NULL,"a b"}`, with `[2:3]=` in front where it does not begin at 1. */
class ArrayParser {
  readonly #text: string;
  readonly #delimiter: number;
  readonly #decode: (text: string) => unknown;
  #at: number;
  #depth = 0;

  constructor(text: string, delimiter: number, decode: (text: string) => unknown) {
    this.#text = text;
    this.#delimiter = delimiter;
    this.#decode = decode;
    this.#at = text.charCodeAt(0) === OPEN ? 0 : text.indexOf("=") + 1;
  }

  parse(): unknown[] {
    const all = this.#array();
    if (this.#at !== this.#text.length) throw malformed();
    return all;
  }

  #array(): unknown[] {
    const text = this.#text;
    if (text.charCodeAt(this.#at++) !== OPEN || ++this.#depth > MAX_DIMENSIONS) throw malformed();
    const items: unknown[] = [];
    if (text.charCodeAt(this.#at) === CLOSE) {
      this.#at++;
      this.#depth--;
      return items;
    }
    for (;;) {
      items.push(this.#item());
      const code = text.charCodeAt(this.#at++);
      if (code === CLOSE) {
        this.#depth--;
        return items;
      }
      if (code !== this.#delimiter) throw malformed();
    }
  }

  #item(): unknown {
    const code = this.#text.charCodeAt(this.#at);
    if (code === OPEN) return this.#array();
    if (code === QUOTE) return this.#decode(this.#quoted());
    const start = this.#at;
    const delimiter = this.#delimiter;
    for (;; this.#at++) {
      const next = this.#text.charCodeAt(this.#at);
      if (next === delimiter || next === CLOSE) break;
      if (next !== next) throw malformed();
    }
    const item = this.#text.slice(start, this.#at);
    return item === "NULL" ? null : this.#decode(item);
  }

  #quoted(): string {
    const text = this.#text;
    let item = "";
    let from = ++this.#at;
    for (;; this.#at++) {
      const code = text.charCodeAt(this.#at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        item += text.slice(from, this.#at);
        from = ++this.#at;
      } else if (code !== code) throw malformed();
    }
    return item + text.slice(from, this.#at++);
  }
}

/** Characters that make the server quote an element: the delimiter comes on top. */
const SPECIAL = /["\\{}\s]/;

/** Quotes an element where the server would: then a cast to text gives what was sent. */
function quote(item: string, delimiter: string): string {
  const plain = item !== "" && !SPECIAL.test(item) && !item.includes(delimiter) && item.toUpperCase() !== "NULL";
  return plain ? item : `"${item.replace(/["\\]/g, "\\$&")}"`;
}

/** Reads the binary form: the number of dimensions, the type of the elements, the size of each dimension, the elements. */
function readArray(
  bytes: Uint8Array,
  start: number,
  end: number,
  oid: number,
  decode: (bytes: Uint8Array, start: number, end: number) => unknown,
): unknown[] {
  const dimensions = int32At(bytes, start);
  if (dimensions === 0) return [];
  let at = start + 12 + 8 * dimensions;
  if (dimensions < 0 || dimensions > MAX_DIMENSIONS || at > end || uint32At(bytes, start + 8) !== oid) {
    throw wrongSize();
  }
  const lengths: number[] = [];
  // Each element has a length of four bytes: a size that does not fit would be read for minutes.
  let most = (end - at) / 4;
  for (let index = 0; index < dimensions; index++) {
    const length = int32At(bytes, start + 12 + 8 * index);
    if (length < 0 || length > most) throw wrongSize();
    most /= length;
    lengths.push(length);
  }
  const readDimension = (depth: number): unknown[] => {
    const length = lengths[depth] as number;
    const items: unknown[] = new Array(length);
    for (let index = 0; index < length; index++) {
      if (depth + 1 < dimensions) items[index] = readDimension(depth + 1);
      else {
        const size = int32At(bytes, at);
        at += 4;
        const from = at;
        if (size >= 0) at += size;
        if (at > end) throw wrongSize();
        items[index] = size < 0 ? null : decode(bytes, from, at);
      }
    }
    return items;
  };
  return readDimension(0);
}

function isTypedArray(value: unknown): value is ArrayLike<number | bigint> {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** Returns the format of arrays of a type. */
export function arrayOf(element: Codec, delimiter = ","): ValueFormat {
  const code = delimiter.charCodeAt(0);
  const { decodeText, decodeBinary } = element;

  /** Appends an array; `shape` has the lengths that the first array of each depth had. */
  function write(items: ArrayLike<unknown>, depth: number, shape: (number | undefined)[]): string {
    if (depth >= MAX_DIMENSIONS) throw valueError(items, `an array has at most ${MAX_DIMENSIONS} dimensions`);
    const length = shape[depth] ??= items.length;
    if (length !== items.length) throw valueError(items, "nested arrays must have one length");
    let text = "{";
    for (let index = 0; index < items.length; index++) {
      if (index > 0) text += delimiter;
      const item = items[index];
      const isNested = !element.isList && (Array.isArray(item) || isTypedArray(item) && !element.isBytes);
      // A type of its own marks the depth at which elements begin.
      const isLeaf = shape[depth + 1] === -1;
      if (isNested ? isLeaf : !isLeaf && shape[depth + 1] !== undefined) {
        throw valueError(items, "nested arrays must have one depth");
      }
      if (isNested) text += write(item, depth + 1, shape);
      else {
        shape[depth + 1] = -1;
        text += item === null || item === undefined ? "NULL" : quote(textOf(element.encode(item)), delimiter);
      }
    }
    return text + "}";
  }

  return {
    decodeText: (text) => new ArrayParser(text, code, decodeText).parse(),
    decodeBinary: decodeBinary && ((bytes, start, end) => readArray(bytes, start, end, element.oid, decodeBinary)),
    encode(value) {
      if (typeof value === "string") return inputText(value);
      if (!Array.isArray(value) && !isTypedArray(value)) throw valueError(value, "expected an array");
      const shape: (number | undefined)[] = [];
      const text = write(value, 0, shape);
      return shape.includes(0) ? "{}" : text;
    },
    survivesRetyping(value) {
      if (typeof value === "string" || element.isList) return false;
      const survives = (item: unknown): boolean =>
        item === null || item === undefined ||
        (Array.isArray(item)
          ? item.every(survives)
          : isTypedArray(item)
          ? Array.prototype.every.call(item, survives)
          : element.survivesRetyping(item));
      return survives(value);
    },
    isList: true,
    isArray: true,
  };
}
