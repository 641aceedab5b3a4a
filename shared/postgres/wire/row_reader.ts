/**
 * Decodes rows.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { int32At, uint16At, utf8At } from "./bytes.ts";
import { parserOf } from "./driver.ts";
import { type ColumnMessage, protocolError } from "./messages.ts";
import type { Column, Row } from "./query_result.ts";

/**
 * Decodes a value that is not null: `bytes` from `start` to `end`, which are valid until it returns. The result keeps
 * nothing of them.
 */
export type ValueDecoder = (bytes: Buffer, start: number, end: number) => unknown;

/** Returns the decoder of the values of a column. */
export type DecoderOf = (column: ColumnMessage) => ValueDecoder;

/** Decodes values that arrive as text, as `pg` does. */
function textDecoderOf({ dataTypeID }: ColumnMessage): ValueDecoder {
  const parse = parserOf(dataTypeID);
  return (bytes, start, end) => parse(utf8At(bytes, start, end));
}

/** Reads the rows of a statement. */
export class RowReader {
  readonly columns: readonly Column[];
  readonly #count: number;
  /** The name of each column; of several columns with one name, only the last one has it. */
  readonly #names: readonly (string | undefined)[];
  readonly #decoders: readonly ValueDecoder[];
  /** A row of nulls to copy: all keys exist, and `__proto__` is a name like any other. */
  readonly #empty: Row;

  /** @param decoderOf Returns the decoder of a column. Default: that of values as text. */
  constructor(columns: readonly ColumnMessage[], decoderOf: DecoderOf = textDecoderOf) {
    this.columns = Object.freeze(columns.map(({ name, dataTypeID }) => Object.freeze({ name, dataTypeID })));
    this.#count = columns.length;
    const last = new Map(columns.map(({ name }, index) => [name, index]));
    this.#names = columns.map(({ name }, index) => last.get(name) === index ? name : undefined);
    this.#decoders = columns.map(decoderOf);
    this.#empty = Object.fromEntries(columns.map(({ name }) => [name, null]));
  }

  /**
   * Reads one row: the body of a DataRow, from `start` to `end`.
   *
   * @throws {ConnectionError} when it is malformed, or has other columns.
   * @throws what a decoder throws.
   */
  read(bytes: Buffer, start: number, end: number): Row {
    const count = this.#count;
    const names = this.#names;
    const decoders = this.#decoders;
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
