/**
 * How many transactions there were, and how long they took.
 *
 * @module
 */
import type { TransactionOutcome } from "./transaction_scope.ts";

/** How transactions ended, and how long they took, since the manager was made. */
export interface TransactionStats {
  readonly committed: number;
  readonly rolledBack: number;
  /** COMMIT was not answered. */
  readonly unknown: number;
  /** The time of all of them, in ms. */
  readonly totalMs: number;
  /** The longest, in ms. */
  readonly longestMs: number;
}

/** Counts transactions. */
export class TransactionFigures {
  readonly #counts: Record<TransactionOutcome, number> = { committed: 0, rolledBack: 0, unknown: 0 };
  #totalMs = 0;
  #longestMs = 0;

  /** Counts one. */
  add(outcome: TransactionOutcome, durationMs: number): void {
    this.#counts[outcome]++;
    this.#totalMs += durationMs;
    this.#longestMs = Math.max(this.#longestMs, durationMs);
  }

  /** What was counted. */
  snapshot(): TransactionStats {
    return Object.freeze({ ...this.#counts, totalMs: this.#totalMs, longestMs: this.#longestMs });
  }
}
