/**
 * Exponential backoff.
 *
 * @module
 */

/** Shape of an exponential backoff. */
export interface Backoff {
  /** Delay before the first retry, in ms. */
  baseMs: number;
  /** Maximum delay, in ms. */
  capMs: number;
}

/**
 * Returns the delay before retry number `attempt` (0 is the first): `baseMs * 2^attempt`, lengthened by up to a half at
 * random, at most `capMs`.
 *
 * The jitter only lengthens the delay: the gap between two attempts is never shorter than the documented one, and
 * callers that failed together do not come back together.
 *
 * @param random Returns numbers in `[0, 1)`. Default: `Math.random`.
 */
export function backoffDelayMs(
  attempt: number,
  { baseMs, capMs }: Backoff,
  random: () => number = Math.random,
): number {
  const exponential = Math.min(baseMs * 2 ** Math.min(attempt, 52), capMs);
  return Math.min(exponential * (1 + random() / 2), capMs);
}
