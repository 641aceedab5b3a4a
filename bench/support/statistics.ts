/**
 * Order statistics. Medians of many rounds are stable on a machine that does
 * other work meanwhile; means and minima are not.
 *
 * @module
 */

/** The median and the quartiles of some values. */
export interface Summary {
  readonly median: number;
  /** First quartile. */
  readonly low: number;
  /** Third quartile. */
  readonly high: number;
  /** The number of values. */
  readonly count: number;
}

/** Returns the quantile `q` (0 to 1) of `values`, interpolated between two of them; `NaN` without values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** Returns the median; `NaN` without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Returns the {@linkcode Summary} of some values. */
export function summarize(values: readonly number[]): Summary {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    count: values.length,
  };
}

/**
 * Returns a 95 % confidence interval of the median, for any distribution: two
 * of the sorted values, by the sign test. For fewer than six values it returns
 * their range, which has a lower confidence.
 */
export function medianInterval(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b);
  // The probabilities that exactly `rank`, and at most `rank`, of the values lie below the median.
  let exactly = 0.5 ** sorted.length;
  let atMost = exactly;
  let rank = 0;
  while (atMost + exactly * (sorted.length - rank) / (rank + 1) <= 0.025) {
    exactly *= (sorted.length - rank) / (rank + 1);
    rank++;
    atMost += exactly;
  }
  const index = atMost <= 0.025 ? rank : 0;
  return [sorted[index] ?? NaN, sorted[sorted.length - 1 - index] ?? NaN];
}

/** Returns a copy in random order; every order is equally likely. */
export function shuffled<T>(values: readonly T[], random: () => number = Math.random): T[] {
  const rest = [...values];
  const drawn: T[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return drawn;
}
