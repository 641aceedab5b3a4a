/**
 * The prepared statements of one connection.
 *
 * @module
 */
import type { RowReader } from "./row_reader.ts";
import { traitsOf } from "./statement_traits.ts";

/** A statement prepared on a connection. */
export interface Prepared {
  /** Its name at the server. */
  readonly name: string;
  readonly text: string;
  /** True once the server has run it: until then only its own batch may rely on it. */
  parsed: boolean;
  /** True while the server keeps it. */
  kept: boolean;
  /** Known once the server has described it. */
  reader: RowReader | undefined;
  /** True if it only reads. */
  readonly reads: boolean;
  /** The duration at the server, in ms: a moving average. `undefined` before the first run. */
  tookMs: number | undefined;
}

/** The time for which statements in flight may keep the server busy, judged by their past durations, in ms. */
const MAX_AHEAD_MS = 50;

/** The weight of the latest duration in the average. */
const WEIGHT = 0.1;

/** The statements that a connection has prepared, the least recently used one first. */
export class StatementCache {
  #maxStatements = 0;
  #maxInFlight = 1;
  #quickestMs = Infinity;
  readonly #byText = new Map<string, Prepared>();
  readonly #toClose: string[] = [];
  /** The statement that was found or added last: it is mostly the one to send next. */
  #latest: Prepared | undefined = undefined;
  #named = 0;
  #kept = 0;

  /** Begins to keep statements, and allows several to be in flight at once. */
  enable(maxStatements: number, maxInFlight: number): void {
    this.#maxStatements = maxStatements;
    this.#maxInFlight = maxInFlight;
  }

  /** True if statements are prepared at all. */
  get enabled(): boolean {
    return this.#maxStatements > 0;
  }

  /** Returns the statement with that text, and marks it as the most recently used one. */
  find(text: string): Prepared | undefined {
    if (this.#latest?.text === text) return this.#latest;
    const found = this.#byText.get(text);
    if (found) {
      this.#byText.delete(text);
      this.#byText.set(text, found);
      this.#latest = found;
    }
    return found;
  }

  /** Adds a statement, evicting the least recently used. */
  add(text: string): Prepared {
    if (this.#byText.size >= this.#maxStatements) {
      const oldest = this.#byText.values().find(({ parsed }) => parsed);
      if (oldest) this.forget(oldest);
    }
    const prepared: Prepared = {
      name: `s${this.#named++}`,
      text,
      parsed: false,
      kept: false,
      reader: undefined,
      reads: traitsOf(text).onlyReads,
      tookMs: undefined,
    };
    this.#byText.set(text, prepared);
    this.#latest = prepared;
    return prepared;
  }

  /** Notes that the server has parsed a statement and keeps it. */
  markPrepared(prepared: Prepared): void {
    prepared.kept = true;
    this.#kept++;
  }

  /** Notes that the server has closed `count` statements. */
  markClosed(count: number): void {
    this.#kept -= count;
  }

  /** The number of statements that the server keeps, unless SQL has dropped some. */
  get kept(): number {
    return this.#kept;
  }

  /** Forgets a statement. If the server keeps it, it is closed there with the next request. */
  forget(prepared: Prepared): void {
    if (prepared.kept) this.#toClose.push(prepared.name);
    // Several batches may find it stale: it is closed once.
    prepared.kept = false;
    if (this.#byText.get(prepared.text) === prepared) this.#byText.delete(prepared.text);
    if (this.#latest === prepared) this.#latest = undefined;
  }

  /** Records how long the server took, in ms, and the round trip where nothing was in flight before. */
  recordDuration(prepared: Prepared, ms: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, ms);
    prepared.tookMs = prepared.tookMs === undefined ? ms : prepared.tookMs + WEIGHT * (ms - prepared.tookMs);
  }

  /**
   * Returns how many statements may be in flight at once if this one is among them: the slower it has been, the fewer.
   * A statement that is unknown, or does not only read, is sent alone.
   */
  maxInFlight(text: string): number {
    const { tookMs, reads } = this.find(text) ?? {};
    if (tookMs === undefined || !reads) return 1;
    const busyMs = Math.max(tookMs - this.#quickestMs, 1);
    return Math.max(1, Math.min(this.#maxInFlight, Math.floor(MAX_AHEAD_MS / busyMs)));
  }

  /** True if statements wait to be closed at the server. */
  get hasToClose(): boolean {
    return this.#toClose.length > 0;
  }

  /** Returns the names to close at the server, and forgets them. */
  drainToClose(): readonly string[] {
    return this.#toClose.splice(0);
  }

  /** Forgets all statements: the server no longer keeps what it kept. */
  clear(): void {
    for (const prepared of [...this.#byText.values()]) this.forget(prepared);
  }
}
