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
  /** The key of the names in it, and of the types that were declared for its parameters. */
  readonly key: string;
  /** True once the server has run it: until then only its own batch may rely on it. */
  parsed: boolean;
  /** True while the server keeps it. */
  kept: boolean;
  /** The oids of the types of its parameters, which the server keeps. Known once the server has described it. */
  paramTypes: readonly number[] | undefined;
  /** Known once the server has described it. */
  reader: RowReader | undefined;
  /** True after an error that it causes if the schema has changed: until then it is not used. */
  doubted: boolean;
  /** True if it only reads. */
  readonly reads: boolean;
  /** The duration at the server, in ms: a moving average. `undefined` before the first run. */
  tookMs: number | undefined;
  /** The duration at the server without the round trip, in ms. */
  busyMs: number;
}

/** Longer texts are mostly built for one use, and are not prepared, in characters. */
const MAX_TEXT_LENGTH = 10_000;

/** The most characters of all texts that a connection keeps prepared: the server keeps several times as much memory. */
const MAX_TOTAL_LENGTH = 1_000_000;

/** The time for which statements in flight may keep the server busy, judged by their past durations, in ms. */
const MAX_AHEAD_MS = 50;

/** The time for which one write may keep the server busy while other connections are free, in ms. */
const MAX_PER_WRITE_MS = 1;

/** The most statements of one write while other connections are free: the server runs them one after the other. */
const MAX_PER_WRITE = 5;

/** The weight of the latest duration in the average. */
const WEIGHT = 0.1;

/** The statements that a connection has prepared, the least recently used one first. */
export class StatementCache {
  #maxStatements = 0;
  #maxInFlight = 1;
  #quickestMs = Infinity;
  /** The same of those before which nothing was in flight, or less: about the round trip. */
  #quickestAloneMs = Infinity;
  /** By key, and then by text. */
  readonly #byKey = new Map<string, Map<string, Prepared>>();
  /** All of them, the least recently used first. */
  readonly #all = new Set<Prepared>();
  #totalLength = 0;
  readonly #toClose: string[] = [];
  /** The statement that was found or added last: it is mostly the one to send next. */
  #latest: Prepared | undefined = undefined;
  #named = 0;
  #version = 0;
  #kept = 0;

  /**
   * Begins to keep statements, and allows several to be in flight at once.
   *
   * @param maxRoundTripMs What the round trip cannot exceed, in ms: the first statement may be slow. Default: not known.
   */
  enable(maxStatements: number, maxInFlight: number, maxRoundTripMs = Infinity): void {
    this.#quickestAloneMs = Math.min(this.#quickestAloneMs, maxRoundTripMs);
    this.#maxStatements = maxStatements;
    this.#maxInFlight = maxInFlight;
  }

  /** Returns whether a text may be prepared. */
  accepts(text: string): boolean {
    return this.#maxStatements > 0 && text.length <= MAX_TEXT_LENGTH;
  }

  /**
   * Returns the statement with that text, and marks it as the most recently used one.
   *
   * @param key See {@linkcode Prepared.key}.
   */
  find(key: string, text: string): Prepared | undefined {
    const latest = this.#latest;
    if (latest?.text === text && latest.key === key) return latest;
    const found = this.#byKey.get(key)?.get(text);
    if (found) {
      this.#all.delete(found);
      this.#all.add(found);
      this.#latest = found;
    }
    return found;
  }

  /**
   * Adds a statement, evicting the least recently used ones.
   *
   * @param inUse Those that must stay.
   * @returns `undefined` if there is no room.
   */
  add(key: string, text: string, inUse: ReadonlySet<Prepared>): Prepared | undefined {
    const fits = () => this.#all.size < this.#maxStatements && this.#totalLength + text.length <= MAX_TOTAL_LENGTH;
    while (!fits()) {
      const oldest = this.#all.values().find((each) => each.parsed && !inUse.has(each));
      if (!oldest) return undefined;
      this.forget(oldest);
    }
    const prepared: Prepared = {
      name: `s${this.#named++}`,
      text,
      key,
      parsed: false,
      kept: false,
      paramTypes: undefined,
      reader: undefined,
      doubted: false,
      reads: traitsOf(text).onlyReads,
      tookMs: undefined,
      busyMs: 0,
    };
    let ofKey = this.#byKey.get(key);
    if (!ofKey) this.#byKey.set(key, ofKey = new Map());
    ofKey.set(text, prepared);
    this.#all.add(prepared);
    this.#totalLength += text.length;
    this.#latest = prepared;
    return prepared;
  }

  /** Returns whether a statement was neither evicted nor forgotten. */
  has(prepared: Prepared): boolean {
    return this.#all.has(prepared);
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
    if (this.#all.delete(prepared)) {
      this.#totalLength -= prepared.text.length;
      const ofKey = this.#byKey.get(prepared.key);
      ofKey?.delete(prepared.text);
      if (ofKey?.size === 0) this.#byKey.delete(prepared.key);
    }
    if (this.#latest === prepared) this.#latest = undefined;
  }

  /**
   * Records how long the server took.
   *
   * @param ms The time in ms; with the round trip where nothing was in flight before.
   * @param follows Whether something was.
   */
  recordDuration(prepared: Prepared, ms: number, follows: boolean): void {
    this.#quickestMs = Math.min(this.#quickestMs, ms);
    if (!follows) this.#quickestAloneMs = Math.min(this.#quickestAloneMs, ms);
    const busyMs = follows ? ms : ms - this.#quickestAloneMs;
    const weight = prepared.tookMs === undefined ? 1 : WEIGHT;
    prepared.busyMs += weight * (busyMs - prepared.busyMs);
    prepared.tookMs = prepared.tookMs === undefined ? ms : prepared.tookMs + WEIGHT * (ms - prepared.tookMs);
  }

  /**
   * Returns how many statements may be in flight at once if this one is among them: the slower it has been, the fewer.
   * A statement that is unknown, or does not only read, is sent alone.
   */
  maxInFlight(key: string, text: string): number {
    const { tookMs, reads } = this.find(key, text) ?? {};
    if (tookMs === undefined || !reads) return 1;
    const busyMs = Math.max(tookMs - this.#quickestMs, 1);
    return Math.max(1, Math.min(this.#maxInFlight, Math.floor(MAX_AHEAD_MS / busyMs)));
  }

  /**
   * Returns how many statements one write may hold if this one is among them, while other connections are free: the
   * slower it has been, the fewer.
   */
  maxPerWrite(key: string, text: string): number {
    const { tookMs, busyMs = Infinity } = this.find(key, text) ?? {};
    if (tookMs === undefined) return 1;
    return Math.max(1, Math.min(this.#maxInFlight, MAX_PER_WRITE, Math.floor(MAX_PER_WRITE_MS / busyMs)));
  }

  /** True if statements wait to be closed at the server. */
  get hasToClose(): boolean {
    return this.#toClose.length > 0;
  }

  /** Closes statements with a later request than the one that was to close them. */
  closeLater(names: readonly string[]): void {
    this.#toClose.push(...names);
  }

  /** Forgets all statements if they were prepared for another version of the schema. */
  clearUnless(version: number): void {
    if (this.#version !== version) this.clear();
    this.#version = version;
  }

  /** Returns the names to close at the server, and forgets them. */
  drainToClose(): readonly string[] {
    return this.#toClose.splice(0);
  }

  /** Forgets all statements: the server no longer keeps what it kept. */
  clear(): void {
    for (const prepared of [...this.#all]) this.forget(prepared);
  }
}
