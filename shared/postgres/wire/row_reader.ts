/**
 * Decodes rows.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Codec } from "../types/codec.ts";
import type { TypeRegistry } from "../types/registry.ts";
import { int32At, uint16At, utf8At } from "./bytes.ts";
import { type ColumnMessage, protocolError } from "./messages.ts";
import type { Column, Row } from "./query_result.ts";

/**
 * Decodes a value that is not null: `bytes` from `start` to `end`, which are valid until it returns. The result keeps
 * nothing of them.
 */
type ValueDecoder = (bytes: Buffer, start: number, end: number) => unknown;

/** A column as a reader needs it. */
export type ReadColumn = Pick<ColumnMessage, "name" | "dataTypeID">;

const ALL_TEXT: readonly number[] = Object.freeze([]);

/** Returns the format codes to request: one stands for all, and none for text. */
function formatCodes(codecs: readonly (Codec | undefined)[]): readonly number[] {
  const codes = codecs.map((codec) => codec?.binary ? 1 : 0);
  if (!codes.includes(1)) return ALL_TEXT;
  return Object.freeze(codes.includes(0) ? codes : [1]);
}

function textDecoder({ decodeText }: Codec): ValueDecoder {
  return (bytes, start, end) => decodeText(utf8At(bytes, start, end));
}

/** Reads the rows of a statement. */
export class RowReader {
  readonly columns: readonly Column[];
  /** The format codes of the columns that are read in binary, where the server knows that they are these columns. */
  readonly formats: readonly number[];
  /** The oids of types without a codec: rows cannot be read yet. */
  readonly missing: readonly number[];
  /** The oids of the composites in the columns, whose attributes can change while the columns stay. */
  readonly composites: readonly number[];
  /** True if rows can be read as they arrive: all types are known, and none of them can have changed. */
  readonly immediate: boolean;

  readonly #count: number;
  /** The name of each column; of several columns with one name, only the last one has it. */
  readonly #names: readonly (string | undefined)[];
  readonly #fromText: readonly ValueDecoder[];
  readonly #fromFormats: readonly ValueDecoder[];
  /** A row of nulls to copy: all keys exist, and `__proto__` is a name like any other. */
  readonly #empty: Row;

  constructor(columns: readonly ReadColumn[], types: Pick<TypeRegistry, "codecOf" | "codecOrText">) {
    this.columns = Object.freeze(columns.map(({ name, dataTypeID }) => Object.freeze({ name, dataTypeID })));
    this.#count = columns.length;
    const last = new Map(columns.map(({ name }, index) => [name, index]));
    this.#names = columns.map(({ name }, index) => last.get(name) === index ? name : undefined);
    this.#empty = Object.fromEntries(columns.map(({ name }) => [name, null]));
    const codecs = columns.map(({ dataTypeID }) => types.codecOf(dataTypeID));
    this.missing = columns.filter((_, index) => codecs[index] === undefined).map(({ dataTypeID }) => dataTypeID);
    this.composites = [...new Set(codecs.flatMap((codec) => codec ? codec.composites : []))];
    this.immediate = this.missing.length === 0 && this.composites.length === 0;
    this.formats = formatCodes(codecs);
    // A type that was dropped since is read as text.
    this.#fromText = columns.map(({ dataTypeID }) => textDecoder(types.codecOrText(dataTypeID)));
    this.#fromFormats = codecs.map((codec, index) =>
      (codec?.binary && codec.decodeBinary) || (this.#fromText[index] as ValueDecoder)
    );
  }

  /**
   * Reads one row: the body of a DataRow, from `start` to `end`.
   *
   * @param inFormats Whether the columns were requested in their {@linkcode formats}, and not all as text.
   * @throws {ConnectionError} when it is malformed, or has other columns.
   * @throws {DecodeError} when a value cannot be read.
   */
  read(bytes: Buffer, start: number, end: number, inFormats: boolean): Row {
    const count = this.#count;
    const names = this.#names;
    const decoders = inFormats ? this.#fromFormats : this.#fromText;
    if (end - start < 2 || uint16At(bytes, start) !== count) throw malformedRow();
    const row = { ...this.#empty };
    let at = start + 2;
    for (let index = 0; index < count; index++) {
      const from = at + 4;
      if (from > end) throw malformedRow();
      const length = int32At(bytes, at);
      at = from;
      if (length === -1) continue;
      at += length;
      if (length < 0 || at > end) throw malformedRow();
      const name = names[index];
      if (name !== undefined) row[name] = decoders[index]?.(bytes, from, at);
    }
    if (at !== end) throw malformedRow();
    return row;
  }
}

function malformedRow(): Error {
  return protocolError("a DataRow does not fit the description of its columns");
}
