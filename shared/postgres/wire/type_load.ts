/**
 * Loads types from the catalog.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { CATALOG_QUERY, type TypeRow } from "../types/catalog.ts";
import type { TypeRegistry } from "../types/registry.ts";
import type { MessageWriter } from "./message_writer.ts";
import type { ColumnMessage } from "./messages.ts";
import type { Row, Statement } from "./query_result.ts";
import { RowReader } from "./row_reader.ts";

/** The oid of `oid[]`. */
export const OID_ARRAY = 1028;

/** Returns the statement that loads types. */
export function catalogStatement(oids: readonly number[]): Statement {
  return { text: CATALOG_QUERY, values: [`{${oids}}`], unprepared: true, paramTypes: [OID_ARRAY] };
}

/** Registers the rows of {@linkcode catalogStatement}. */
export function registerTypes(types: TypeRegistry, rows: readonly Row[]): void {
  types.register(rows as unknown as readonly TypeRow[]);
}

/** Loads types inside another request, which continues with them. */
export class TypeLoad {
  readonly #types: TypeRegistry;
  #reader: RowReader | undefined = undefined;
  readonly #rows: Row[] = [];

  /** Encodes the statement, without a Sync. */
  constructor(oids: readonly number[], types: TypeRegistry, out: MessageWriter) {
    this.#types = types;
    out.parse("", CATALOG_QUERY, [OID_ARRAY]);
    out.bind("", [`{${oids}}`]);
    out.describePortal();
    out.execute();
  }

  /** Notes its columns. */
  onColumns(columns: readonly ColumnMessage[]): void {
    this.#reader = new RowReader(columns, this.#types);
  }

  /** Reads a row. */
  onRow(bytes: Buffer, start: number, end: number): void {
    if (this.#reader) this.#rows.push(this.#reader.read(bytes, start, end, false));
  }

  /** Registers what it has loaded. */
  finish(): void {
    registerTypes(this.#types, this.#rows);
  }
}
