/**
 * Counts over the last moments.
 *
 * @module
 */

/** The number of buckets that a window is divided into: an old event leaves it late by at most a tenth of it. */
const BUCKETS = 10;

/**
 * Counts two kinds of events of the last `windowMs`, for example calls, and those of them that failed. Time is read
 * lazily, with each event: nothing runs in between, and after a pause of any length the old events do not count.
 */
export class SlidingCounts {
  readonly #bucketMs: number;
  readonly #totals: number[] = Array(BUCKETS).fill(0);
  readonly #marks: number[] = Array(BUCKETS).fill(0);
  /** The number of the latest bucket, counted from the start of the clock. */
  #latest = -Infinity;

  /** The events in the window, at the last call of {@linkcode add} or {@linkcode advance}. */
  total = 0;
  /** The events of the second kind. */
  marked = 0;

  /** @param windowMs The length of the window, in ms. */
  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  /** Counts `total` events, and `marked` of the second kind, at `now`. */
  add(total: number, marked: number, now: number): void {
    this.advance(now);
    const bucket = indexOf(this.#latest);
    this.#totals[bucket] = (this.#totals[bucket] ?? 0) + total;
    this.#marks[bucket] = (this.#marks[bucket] ?? 0) + marked;
    this.total += total;
    this.marked += marked;
  }

  /** Forgets the events that have left the window by `now`. A clock that went backward changes nothing. */
  advance(now: number): void {
    const latest = Math.floor(now / this.#bucketMs);
    if (!(latest > this.#latest)) return;
    const steps = Math.min(latest - this.#latest, BUCKETS);
    for (let step = 0; step < steps; step++) {
      const bucket = indexOf(latest - step);
      this.total -= this.#totals[bucket] ?? 0;
      this.marked -= this.#marks[bucket] ?? 0;
      this.#totals[bucket] = this.#marks[bucket] = 0;
    }
    this.#latest = latest;
  }

  /** Forgets every event. */
  clear(): void {
    this.#totals.fill(0);
    this.#marks.fill(0);
    this.total = this.marked = 0;
  }
}

/** The index of a bucket, also of one before the start of the clock. */
function indexOf(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS;
}
