/**
 * The test for growth of a series.
 *
 * @module
 */
import { median } from "../support/statistics.ts";
import type { Growth } from "./results.ts";

/** The difference that a series may have between two times without growing: the larger of both. */
export interface Allowance {
  /** A part of the value: 0.1 is 10 %. */
  readonly part: number;
  /** An absolute amount. */
  readonly amount: number;
}

/** The part of the samples that is left out at the beginning: caches fill and code is compiled. */
const WARM_UP = 0.2;

/** The score of a trend that is not random, with 99 % confidence (one-sided). */
export const RISES = 2.33;

/**
 * Returns the score of the Mann-Kendall test: the number of pairs whose later value is larger, less those whose later
 * value is smaller, in standard deviations of what random order gives. Equal values are corrected for.
 */
export function trendOf(values: readonly number[]): number {
  const n = values.length;
  let score = 0;
  for (const [index, value] of values.entries()) {
    for (let later = index + 1; later < n; later++) score += Math.sign((values[later] ?? NaN) - value);
  }
  const ties = Object.values(Object.groupBy(values, String)).map((group) => group?.length ?? 0);
  const spread = (count: number) => count * (count - 1) * (2 * count + 5);
  const variance = (spread(n) - ties.reduce((sum, count) => sum + spread(count), 0)) / 18;
  return variance === 0 ? 0 : (score - Math.sign(score)) / Math.sqrt(variance);
}

/**
 * Judges a series. After a warm-up of a fifth, it grows if both hold:
 *
 * - the median of its last third exceeds that of its first third by more than the allowance;
 * - the Mann-Kendall test finds that its values rise.
 *
 * The first alone could be one busy minute at the end, the second alone an amount that does not matter.
 *
 * @throws {RangeError} for fewer than ten values.
 */
export function judgeGrowth(values: readonly number[], { part, amount }: Allowance): Growth {
  if (values.length < 10) throw new RangeError(`Cannot judge ${values.length} samples: ten or more are needed`);
  const steady = values.slice(Math.ceil(values.length * WARM_UP));
  const third = Math.floor(steady.length / 3);
  const first = median(steady.slice(0, third));
  const last = median(steady.slice(-third));
  const allowed = Math.max(first * part, amount);
  const trend = trendOf(steady);
  return { first, last, allowed, trend, grows: last - first > allowed && trend > RISES };
}
