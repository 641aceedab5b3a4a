/**
 * The fixed buckets of histograms, and percentiles from their counts.
 *
 * @module
 */

/** Upper bounds for waits, leases, statements and requests, in seconds. */
export const TIME_BUCKETS: readonly number[] = Object.freeze(
  [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
);

/** Upper bounds for the age of connections and the length of outages, in seconds. */
export const AGE_BUCKETS: readonly number[] = Object.freeze([1, 5, 15, 30, 60, 300, 900, 1_800, 3_600]);

/** Returns whether `bounds` can be the upper bounds of buckets: finite, ascending, at most 50. */
export function areBounds(bounds: unknown): bounds is readonly number[] {
  return Array.isArray(bounds) && bounds.length > 0 && bounds.length <= 50 &&
    bounds.every((bound, at) => Number.isFinite(bound) && (at === 0 || bound > bounds[at - 1]));
}

/**
 * Returns the value below which a share of all values lies, as `histogram_quantile` of Prometheus does: between two
 * bounds, values are taken to be spread evenly; beyond the last bound, the last bound is the result. Without values it is
 * `NaN`.
 *
 * @param bounds The upper bounds of the buckets, ascending.
 * @param counts One count for each bound, and one for larger values. Counts that are missing are 0.
 * @param share From 0 to 1; 0.99 for the 99th percentile.
 */
export function quantileOf(bounds: readonly number[], counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return NaN;
  let rest = share * total;
  for (const [at, bound] of bounds.entries()) {
    const count = counts[at] ?? 0;
    if (count > 0 && rest <= count) {
      const from = at === 0 ? Math.min(0, bound) : bounds[at - 1] ?? 0;
      return from + (bound - from) * rest / count;
    }
    rest -= count;
  }
  return bounds.at(-1) ?? NaN;
}

/**
 * Returns counts in the buckets of other bounds. What lies between two bounds counts below the larger one, so that no
 * percentile becomes smaller.
 */
export function rebucket(
  counts: readonly number[],
  from: readonly number[],
  to: readonly number[],
): readonly number[] {
  const moved: number[] = Array(to.length + 1).fill(0);
  for (const [at, count] of counts.entries()) {
    const bound = from[at] ?? Infinity;
    const found = to.findIndex((other) => other >= bound);
    const index = found < 0 ? to.length : found;
    moved[index] = (moved[index] ?? 0) + count;
  }
  return moved;
}
