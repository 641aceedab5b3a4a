/**
 * The prepared statements of one connection.
 *
 * @module
 */
import { type ColumnMessage, parserOf, type ValueParser } from "./driver.ts";
import type { Column, Row } from "./query_result.ts";

/** The columns of a statement and how its rows are read. */
export class RowReader {
  readonly columns: readonly Column[];
  readonly #names: readonly string[];
  readonly #parsers: readonly ValueParser[];
  readonly #plain: boolean;

  constructor(fields: readonly ColumnMessage[]) {
    this.columns = Object.freeze(fields.map(({ name, dataTypeID }) => Object.freeze({ name, dataTypeID })));
    this.#names = fields.map(({ name }) => name);
    this.#parsers = fields.map(({ dataTypeID }) => parserOf(dataTypeID));
    this.#plain = !this.#names.includes("__proto__");
  }

  /** The row that these texts stand for. */
  read(texts: readonly (string | null)[]): Row {
    const row: Row = {};
    for (let index = 0; index < this.#names.length; index++) {
      const name = this.#names[index] ?? "";
      const text = texts[index];
      const value = text === null || text === undefined ? null : this.#parsers[index]?.(text);
      if (this.#plain) row[name] = value;
      // Assigning to it would replace the prototype.
      else Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
    }
    return row;
  }
}

/** Reads rows of a statement that returns none. */
export const NO_ROWS = new RowReader([]);

/** A statement prepared on a connection. */
export interface Prepared {
  /** Its name at the server. */
  readonly name: string;
  readonly text: string;
  /** Whether the server has confirmed it: only then may anybody but its batch rely on it. */
  parsed: boolean;
  /** Known once the server has described it. */
  reader: RowReader | undefined;
}

/** The statements that a connection has prepared, the least recently used one first. */
export class StatementCache {
  #most = 0;
  readonly #byText = new Map<string, Prepared>();
  readonly #doomed: string[] = [];
  #named = 0;

  /** From now on so many are kept. Before, none is. */
  allow(most: number): void {
    this.#most = most;
  }

  /** How many are kept. */
  get size(): number {
    return this.#byText.size;
  }

  /** Whether statements are prepared at all. */
  get enabled(): boolean {
    return this.#most > 0;
  }

  /** The statement with that text, which becomes the most recently used one. */
  find(text: string): Prepared | undefined {
    const found = this.#byText.get(text);
    if (found && this.#byText.size > 1) {
      this.#byText.delete(text);
      this.#byText.set(text, found);
    }
    return found;
  }

  /** Takes a statement up; the one unused longest goes where there are too many. */
  add(text: string): Prepared {
    if (this.#byText.size >= this.#most) {
      const oldest = this.#byText.values().find(({ parsed }) => parsed);
      if (oldest) this.forget(oldest);
    }
    const prepared: Prepared = { name: `s${this.#named++}`, text, parsed: false, reader: undefined };
    this.#byText.set(text, prepared);
    return prepared;
  }

  /** Forgets a statement. The server may still have it, and is to be told. */
  forget(prepared: Prepared): void {
    this.#doomed.push(prepared.name);
    if (this.#byText.get(prepared.text) === prepared) this.#byText.delete(prepared.text);
  }

  /** The names that the server is to forget, once. */
  takeDoomed(): readonly string[] {
    if (this.#doomed.length === 0) return this.#doomed;
    return this.#doomed.splice(0);
  }

  /** Forgets all: the server has dropped them. */
  clear(): void {
    this.#byText.clear();
    this.#doomed.length = 0;
  }
}
