/**
 * Callers that go on calling through an outage, and what they meet.
 *
 * @module
 */
import { until } from "../../support/until.ts";

/** The results of the callers. */
export interface Met {
  /** The number of times that each outcome occurred: `ok`, or the code of an error. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** The durations of the calls that failed, in ms, in order. */
  readonly failedMs: readonly number[];
  /** The time from the end of the outage to the first success, in ms. */
  readonly firstSuccessMs: number;
}

/** Callers that call again and again, with a pause. */
export class Callers {
  readonly #outcomes = new Map<string, number>();
  readonly #failedMs: number[] = [];
  readonly #running: Promise<void>[];
  #ended = false;
  #recoveredAt = Infinity;
  #firstSuccessAt = Infinity;

  /**
   * Begins to call.
   *
   * @param count The number of callers.
   */
  constructor(count: number, call: () => Promise<unknown>) {
    this.#running = Array.from({ length: count }, () => this.#loop(call));
  }

  /** The number of calls with an outcome. */
  count(outcome: string): number {
    return this.#outcomes.get(outcome) ?? 0;
  }

  /** Notes that the outage has ended, waits for the first success, and ends the callers. */
  async recover(): Promise<Met> {
    this.#recoveredAt = performance.now();
    await until("a call succeeds", () => this.#firstSuccessAt < Infinity);
    this.#ended = true;
    await Promise.all(this.#running);
    const failedMs = this.#failedMs.toSorted((a, b) => a - b);
    return { outcomes: this.#outcomes, failedMs, firstSuccessMs: this.#firstSuccessAt - this.#recoveredAt };
  }

  async #loop(call: () => Promise<unknown>): Promise<void> {
    while (!this.#ended) {
      const start = performance.now();
      const outcome = await call().then(() => "ok", (error) => String(error.code));
      const now = performance.now();
      this.#outcomes.set(outcome, this.count(outcome) + 1);
      if (outcome !== "ok") this.#failedMs.push(now - start);
      else if (now >= this.#recoveredAt) this.#firstSuccessAt = Math.min(this.#firstSuccessAt, now);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Returns the median. */
export function median(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1] ?? 0;
}
