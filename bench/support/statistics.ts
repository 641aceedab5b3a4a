/**
 * Order statistics. A mean or a minimum says little on a machine that does
 * other work meanwhile; medians of many rounds hold still.
 *
 * @module
 */

/** The middle of some figures, and where their middle half lies. */
export interface Summary {
  readonly median: number;
  /** First quartile. */
  readonly low: number;
  /** Third quartile. */
  readonly high: number;
  /** How many there were. */
  readonly count: number;
}

/** The value below which the part `q` (0 to 1) of `values` lies, between two of them if need be; `NaN` of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** The middle value; `NaN` of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The {@linkcode Summary} of some figures. */
export function summarize(values: readonly number[]): Summary {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    count: values.length,
  };
}

/**
 * Returns an interval that contains the median of what `values` were drawn
 * from with a probability of at least 95 %, whatever the distribution: two of
 * the sorted values, by the sign test. Fewer than six values give their whole
 * range, which says less than that.
 */
export function medianInterval(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b);
  // The probability that exactly `rank` of the values lie below the median, and that at most so many do.
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

/** A copy in an order drawn by `random`, every order as likely as any other. */
export function shuffled<T>(values: readonly T[], random: () => number = Math.random): T[] {
  const rest = [...values];
  const drawn: T[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return drawn;
}
