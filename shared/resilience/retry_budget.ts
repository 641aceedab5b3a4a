/**
 * A bound on retries, so that a failing backend is not hit harder.
 *
 * @module
 */
import { type Clock, systemClock } from "./clock.ts";
import { SlidingCounts } from "./sliding_counts.ts";

/** The window that requests and retries are counted over, in ms. */
const WINDOW_MS = 10_000;

/** Options for {@linkcode RetryBudget}. */
export interface RetryBudgetOptions {
  /** Retries as a share of requests, from 0 (none beyond `reserve`) to 1. Default: 0.2. */
  readonly ratio?: number;
  /** The number of retries in ten seconds that are allowed however few requests there are. Default: 10. */
  readonly reserve?: number;
  /** Default: the isolate's own time. */
  readonly clock?: Clock;
}

/** The use of a {@linkcode RetryBudget}, over the last ten seconds. */
export interface RetryBudgetStats {
  /** The number of requests, retries not included. */
  readonly requests: number;
  /** The number of retries that were allowed. */
  readonly retries: number;
  /** The number of retries that were refused, since the budget was created. */
  readonly refused: number;
}

/**
 * Bounds the retries of many operations together: in ten seconds, at most `ratio` of their requests, plus `reserve`.
 *
 * While few requests fail, each may be retried. When all of them fail, a backend gets `1 + ratio` times the requests,
 * where three retries for each would be four times as many.
 *
 * Source: Twitter Finagle, "Retry budgets"; Google, "Site Reliability Engineering", chapter 21.
 *
 * @example
 * ```ts
 * const budget = new RetryBudget({ ratio: 0.1 });
 * budget.countRequest();
 * let response = await fetch("https://example.com/");
 * if (response.status === 503 && budget.tryRetry()) response = await fetch("https://example.com/");
 * ```
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #reserve: number;
  readonly #clock: Clock;
  readonly #counts = new SlidingCounts(WINDOW_MS);
  #refused = 0;

  /** The number of retries that were allowed since the budget was created. */
  totalRetries = 0;

  /**
   * Creates a budget that nothing has been taken of.
   *
   * @throws {RangeError} when an option is out of range, naming it.
   */
  constructor({ ratio = 0.2, reserve = 10, clock = systemClock }: RetryBudgetOptions = {}) {
    if (!(ratio >= 0 && ratio <= 1)) throw new RangeError(`ratio must be a number from 0 to 1: it is ${ratio}`);
    if (!(Number.isSafeInteger(reserve) && reserve >= 0)) {
      throw new RangeError(`reserve must be a whole number from 0: it is ${reserve}`);
    }
    this.#ratio = ratio;
    this.#reserve = reserve;
    this.#clock = clock;
  }

  /**
   * Counts a request, which is not a retry.
   *
   * @param now The current time of the clock, where the caller has read it already.
   */
  countRequest(now: number = this.#clock.now()): void {
    this.#counts.add(1, 0, now);
  }

  /** Returns whether a retry may be sent, and counts it if so. */
  tryRetry(): boolean {
    const counts = this.#counts;
    const now = this.#clock.now();
    counts.advance(now);
    if (counts.marked + 1 > this.#reserve + this.#ratio * counts.total) {
      this.#refused++;
      return false;
    }
    counts.add(0, 1, now);
    this.totalRetries++;
    return true;
  }

  /** Returns its use, as an immutable snapshot. */
  getStats(): RetryBudgetStats {
    this.#counts.advance(this.#clock.now());
    return Object.freeze({ requests: this.#counts.total, retries: this.#counts.marked, refused: this.#refused });
  }
}
