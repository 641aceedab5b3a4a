/**
 * The rows that wait to be written: a bounded number, and a bounded number in a second.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import { type ConnectionLogRow, type ConnectionLogStatus, ROUTINE } from "./log_rows.ts";

/** The time whose rows may come at once, in s. */
const BURST_S = 5;

/** Options of a {@linkcode LogBuffer}. */
export interface LogBufferOptions {
  /** The largest number of rows that wait. */
  readonly maxRows: number;
  /** The number of rows in a second, on average. */
  readonly perSecond: number;
  readonly clock: Clock;
}

/** Holds rows until they are written. */
export class LogBuffer {
  readonly #options: LogBufferOptions;
  readonly #rows: ConnectionLogRow[] = [];
  /** The events without a row, by status. */
  readonly #suppressed = new Map<ConnectionLogStatus, number>();
  #tokens: number;
  #refilledAt: number;

  constructor(options: LogBufferOptions) {
    this.#options = options;
    this.#tokens = options.perSecond * BURST_S;
    this.#refilledAt = options.clock.now();
  }

  /** The number of rows that wait. */
  get length(): number {
    return this.#rows.length;
  }

  /** True if nothing waits and nothing was suppressed. */
  get isEmpty(): boolean {
    return this.#rows.length === 0 && this.#suppressed.size === 0;
  }

  /** Returns whether an event gets a row. One that does not is counted. */
  accepts(status: ConnectionLogStatus): boolean {
    const { clock, perSecond } = this.#options;
    const now = clock.now();
    this.#tokens = Math.min(perSecond * BURST_S, this.#tokens + (now - this.#refilledAt) * perSecond / 1_000);
    this.#refilledAt = now;
    // Half of them are left for errors and what else is rare.
    const least = ROUTINE.has(status) ? perSecond * BURST_S / 2 : 0;
    if (this.#tokens - 1 < least) {
      this.#count(status, 1);
      return false;
    }
    this.#tokens--;
    return true;
  }

  /** Adds a row. The oldest one that waits is dropped and counted where there are too many. */
  add(row: ConnectionLogRow): void {
    if (this.#rows.push(row) > this.#options.maxRows) this.#drop();
  }

  /**
   * Adds a row for each status of which events were suppressed, with their number.
   *
   * @param log The `connection_id` of these rows.
   */
  addSuppressed(log: string): void {
    // Those that make room for them count, too.
    while (this.#rows.length > 0 && this.#rows.length + this.#suppressed.size > this.#options.maxRows) this.#drop();
    const at = new Date().toISOString();
    for (const [status, suppressed] of this.#suppressed) {
      this.#rows.push({ connectionId: log, status, metadata: { at, suppressed } });
    }
    this.#suppressed.clear();
  }

  /** Returns the rows to write next, and leaves them here until {@linkcode written}. */
  next(limit: number): readonly ConnectionLogRow[] {
    return this.#rows.slice(0, limit);
  }

  /** Removes rows that were written. Some may have been dropped meanwhile. */
  written(rows: readonly ConnectionLogRow[]): void {
    const done = new Set(rows);
    while (this.#rows[0] && done.has(this.#rows[0])) this.#rows.shift();
  }

  /** Drops the oldest row. One that counts suppressed events stands for all of them. */
  #drop(): void {
    const dropped = this.#rows.shift();
    if (dropped) this.#count(dropped.status, Number(dropped.metadata["suppressed"] ?? 1));
  }

  #count(status: ConnectionLogStatus, by: number): void {
    this.#suppressed.set(status, (this.#suppressed.get(status) ?? 0) + by);
  }
}
