/**
 * Decodes rows.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { parserOf, type ValueParser } from "./driver.ts";
import { type ColumnMessage, protocolError } from "./messages.ts";
import type { Column, Row } from "./query_result.ts";

/** Reads the rows of a statement. */
export class RowReader {
  readonly columns: readonly Column[];
  /** The name of each column; of several columns with one name, only the last one has it. */
  readonly #names: readonly (string | undefined)[];
  readonly #parsers: readonly ValueParser[];
  /** A row of nulls to copy: all keys exist, and `__proto__` is a name like any other. */
  readonly #empty: Row;

  constructor(fields: readonly Pick<ColumnMessage, "name" | "dataTypeID">[]) {
    this.columns = Object.freeze(fields.map(({ name, dataTypeID }) => Object.freeze({ name, dataTypeID })));
    const last = new Map(fields.map(({ name }, index) => [name, index]));
    this.#names = fields.map(({ name }, index) => last.get(name) === index ? name : undefined);
    this.#parsers = fields.map(({ dataTypeID }) => parserOf(dataTypeID));
    this.#empty = Object.fromEntries(fields.map(({ name }) => [name, null]));
  }

  /**
   * Reads one row: the body of a DataRow, from `start` to `end`.
   *
   * @throws {ConnectionError} when it is malformed, or has other columns.
   * @throws what the parser of a value throws.
   */
  read(bytes: Buffer, start: number, end: number): Row {
    const names = this.#names;
    const parsers = this.#parsers;
    const count = names.length;
    if (end - start < 2 || bytes.readUInt16BE(start) !== count) throw malformedRow();
    const row = { ...this.#empty };
    let at = start + 2;
    for (let index = 0; index < count; index++) {
      if (end - at < 4) throw malformedRow();
      const length = bytes.readInt32BE(at);
      at += 4;
      if (length === -1) continue;
      if (length < 0 || length > end - at) throw malformedRow();
      const name = names[index];
      const parse = parsers[index];
      if (name !== undefined && parse !== undefined) row[name] = parse(bytes.toString("utf8", at, at + length));
      at += length;
    }
    if (at !== end) throw malformedRow();
    return row;
  }
}

function malformedRow(): Error {
  return protocolError("a DataRow does not fit the description of its columns");
}
