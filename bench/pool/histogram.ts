/**
 * A histogram like those of Prometheus, for the metrics of a pool.
 *
 * @module
 */

/** The upper bounds of the buckets, in ms. */
const BOUNDS = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/** Counts durations in buckets. */
export class Histogram {
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  /** The number of observed durations. */
  count = 0;
  /** Their sum, in ms. */
  sum = 0;

  /** Counts a duration in ms. */
  observe(ms: number): void {
    let index = 0;
    while (index < BOUNDS.length && ms > (BOUNDS[index] ?? Infinity)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.count++;
    this.sum += ms;
  }
}
