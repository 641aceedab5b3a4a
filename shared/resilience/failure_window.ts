/**
 * The share of calls that failed lately.
 *
 * @module
 */

/** The number of buckets that a window is divided into: an old call leaves it late by at most a tenth of it. */
const BUCKETS = 10;

/**
 * Counts the calls of the last `windowMs`, and how many of them failed. Time is read lazily, with each call: nothing
 * runs in between, and after a pause of any length the old calls do not count.
 */
export class FailureWindow {
  readonly #bucketMs: number;
  readonly #calls: number[] = Array(BUCKETS).fill(0);
  readonly #failed: number[] = Array(BUCKETS).fill(0);
  /** The number of the latest bucket, counted from the start of the clock. */
  #latest = -Infinity;

  /** The calls in the window, at the last call of {@linkcode add} or {@linkcode advance}. */
  calls = 0;
  /** Those of them that failed. */
  failures = 0;

  /** @param windowMs The length of the window, in ms. */
  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  /** Counts a call that settled at `now`. */
  add(failed: boolean, now: number): void {
    this.advance(now);
    const bucket = indexOf(this.#latest);
    this.#calls[bucket] = (this.#calls[bucket] ?? 0) + 1;
    this.calls++;
    if (!failed) return;
    this.#failed[bucket] = (this.#failed[bucket] ?? 0) + 1;
    this.failures++;
  }

  /** Forgets the calls that have left the window by `now`. A clock that went backward changes nothing. */
  advance(now: number): void {
    const latest = Math.floor(now / this.#bucketMs);
    if (!(latest > this.#latest)) return;
    const steps = Math.min(latest - this.#latest, BUCKETS);
    for (let step = 0; step < steps; step++) {
      const bucket = indexOf(latest - step);
      this.calls -= this.#calls[bucket] ?? 0;
      this.failures -= this.#failed[bucket] ?? 0;
      this.#calls[bucket] = this.#failed[bucket] = 0;
    }
    this.#latest = latest;
  }

  /** Forgets every call. */
  clear(): void {
    this.#calls.fill(0);
    this.#failed.fill(0);
    this.calls = this.failures = 0;
  }
}

/** The index of a bucket, also of one before the start of the clock. */
function indexOf(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS;
}
