/**
 * Times, counted in buckets of 1 %: any number of them takes the same memory.
 *
 * @module
 */

/** The ratio of two bounds: percentiles are at most 1 % too high. */
const RATIO = 1.01;
const LOG_RATIO = Math.log(RATIO);
/** The lowest bound, in ms. */
const LEAST_MS = 0.01;

/** A row of a histogram for people. */
export interface HistogramRow {
  /** The upper bound, in ms. */
  readonly toMs: number;
  readonly count: number;
}

/** Counts times in ms. */
export class TimeHistogram {
  readonly #counts: number[] = [];
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  /** The number of times. */
  get count(): number {
    return this.#count;
  }

  /** The longest time, in ms. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** The mean, in ms; 0 without times. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  /** Counts a time. */
  add(ms: number): void {
    const index = ms <= LEAST_MS ? 0 : Math.ceil(Math.log(ms / LEAST_MS) / LOG_RATIO);
    while (this.#counts.length <= index) this.#counts.push(0);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Returns a percentile in ms, such as that of 0.99; 0 without times. */
  percentile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let passed = 0;
    for (const [index, count] of this.#counts.entries()) {
      passed += count;
      if (passed >= rank && count > 0) return Math.min(LEAST_MS * RATIO ** index, this.#maxMs);
    }
    return 0;
  }

  /** Returns the counts between bounds of 1, 2 and 5 times a power of ten, without the empty rows at both ends. */
  rows(): HistogramRow[] {
    const rows: { toMs: number; count: number }[] = [];
    for (let power = 0.01; power < 1e7; power *= 10) {
      for (const step of [1, 2, 5]) rows.push({ toMs: Number((step * power).toPrecision(1)), count: 0 });
    }
    for (const [index, count] of this.#counts.entries()) {
      if (count === 0) continue;
      const ms = Math.min(LEAST_MS * RATIO ** index, this.#maxMs);
      const row = rows.find(({ toMs }) => ms <= toMs * RATIO) ?? rows.at(-1);
      if (row) row.count += count;
    }
    const first = rows.findIndex(({ count }) => count > 0);
    const last = rows.findLastIndex(({ count }) => count > 0);
    return first < 0 ? [] : rows.slice(first, last + 1);
  }
}
