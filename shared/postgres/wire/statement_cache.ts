/**
 * The prepared statements of one connection.
 *
 * @module
 */
import { type ColumnMessage, parserOf, type ValueParser } from "./driver.ts";
import type { Column, Row } from "./query_result.ts";
import { onlyReads } from "../connection/session_state.ts";

/** The columns of a statement and how its rows are read. */
export class RowReader {
  readonly columns: readonly Column[];
  /** By column; of several with one name the last one counts. */
  readonly #names: readonly (string | undefined)[];
  readonly #parsers: readonly ValueParser[];
  /** A row of nulls. A copy of it has the place for all values, and `__proto__` as a name like any other. */
  readonly #empty: Row;

  constructor(fields: readonly ColumnMessage[]) {
    this.columns = Object.freeze(fields.map(({ name, dataTypeID }) => Object.freeze({ name, dataTypeID })));
    const last = new Map(fields.map(({ name }, index) => [name, index]));
    this.#names = fields.map(({ name }, index) => last.get(name) === index ? name : undefined);
    this.#parsers = fields.map(({ dataTypeID }) => parserOf(dataTypeID));
    this.#empty = Object.fromEntries(fields.map(({ name }) => [name, null]));
  }

  /** The row that these texts stand for. */
  read(texts: readonly (string | null)[]): Row {
    const row = { ...this.#empty };
    const names = this.#names;
    const parsers = this.#parsers;
    for (let index = 0; index < names.length; index++) {
      const text = texts[index];
      const name = names[index];
      const parse = parsers[index];
      if (typeof text === "string" && name !== undefined && parse !== undefined) row[name] = parse(text);
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
  /** Whether the server has run it: only then may anybody but its batch rely on it. */
  parsed: boolean;
  /** Whether the server keeps it. */
  kept: boolean;
  /** Known once the server has described it. */
  reader: RowReader | undefined;
  /** Whether it only reads. */
  readonly reads: boolean;
  /** How long the server is at it, in ms: a moving average. `undefined` before the first. */
  tookMs: number | undefined;
}

/** So long may those on their way keep the server busy, going by what they took before, in ms. */
const MAX_AHEAD_MS = 50;

/** How much the latest time counts in the average. */
const WEIGHT = 0.1;

/** The statements that a connection has prepared, the least recently used one first. */
export class StatementCache {
  #most = 0;
  #mostInFlight = 1;
  #quickestMs = Infinity;
  readonly #byText = new Map<string, Prepared>();
  readonly #doomed: string[] = [];
  #named = 0;
  #kept = 0;

  /**
   * From now on so many are kept. Before, none is.
   *
   * @param inFlight How many may be on their way at once.
   */
  allow(most: number, inFlight: number): void {
    this.#most = most;
    this.#mostInFlight = inFlight;
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
    const prepared: Prepared = {
      name: `s${this.#named++}`,
      text,
      parsed: false,
      kept: false,
      reader: undefined,
      reads: onlyReads(text),
      tookMs: undefined,
    };
    this.#byText.set(text, prepared);
    return prepared;
  }

  /** The server has parsed a statement, and keeps it. */
  keep(prepared: Prepared): void {
    prepared.kept = true;
    this.#kept++;
  }

  /** So many have been closed at the server. */
  dropped(count: number): void {
    this.#kept -= count;
  }

  /** How many the server keeps, unless somebody has dropped some by SQL. */
  get kept(): number {
    return this.#kept;
  }

  /** Forgets a statement. Where the server keeps it, it is to be told. */
  forget(prepared: Prepared): void {
    if (prepared.kept) this.#doomed.push(prepared.name);
    // Several that relied on it may find it stale.
    prepared.kept = false;
    if (this.#byText.get(prepared.text) === prepared) this.#byText.delete(prepared.text);
  }

  /** Notes how long the server was at a statement, in ms; the way there and back counts, if nothing was before it. */
  note(prepared: Prepared, ms: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, ms);
    prepared.tookMs = prepared.tookMs === undefined ? ms : prepared.tookMs + WEIGHT * (ms - prepared.tookMs);
  }

  /**
   * How many statements may be on their way at once where this one is among
   * them: the slower it has been so far, the fewer. One that is not known, or does not only read, goes alone.
   */
  mostInFlight(text: string): number {
    const { tookMs, reads } = this.#byText.get(text) ?? {};
    if (tookMs === undefined || !reads) return 1;
    const busyMs = Math.max(tookMs - this.#quickestMs, 1);
    return Math.max(1, Math.min(this.#mostInFlight, Math.floor(MAX_AHEAD_MS / busyMs)));
  }

  /** The names that the server is to forget, once. */
  takeDoomed(): readonly string[] {
    if (this.#doomed.length === 0) return this.#doomed;
    return this.#doomed.splice(0);
  }

  /** Forgets all: what the server keeps is no longer what it was. */
  clear(): void {
    for (const prepared of [...this.#byText.values()]) this.forget(prepared);
  }
}
