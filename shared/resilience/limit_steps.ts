/**
 * The sizes of an adaptive limit's experiments: the steps, the calls that judge them, and the time between them.
 *
 * @module
 */

/** The calls of a cohort: enough to see a difference at all, and not more than is worth waiting for. */
export const MIN_COHORT = 10;
const MAX_COHORT = 400;

/** The standard error of an elasticity that decides. */
const PRECISION = 0.2;

/** The smallest and the largest step that an experiment begins with, as fractions of the limit. */
const MIN_STEP = 0.05;
const MAX_FIRST_STEP = 0.15;

/** The largest step to where the limit has been: to 10 times as much, or to a tenth. */
export const MAX_STEP = 9;

/** The part of the highest limit of late from which on a limit counts as returned to it. */
const HELD = 0.95;

/** The rounds of calls that a first step may take to be judged: a long small step slows fewer calls than a short large one. */
const MAX_ROUNDS = 20;

/**
 * The time between two experiments with a higher limit, in rounds and by the rounds of the experiment. So they concern
 * about 0.8 % of the calls, and even the 99th percentile of latency does not show them, unless that takes too long.
 */
const ROUNDS_BETWEEN = 140;
const MIN_INTERVAL_MS = 500;
const MAX_INTERVAL_MS = 15_000;
/** Below half of a recent limit, capacity that was lost may return at any time. */
const MAX_RECOVERY_INTERVAL_MS = 3_000;

/** Returns the size of a cohort of that many rounds of calls. */
export function callsOf(rounds: number, limit: number): number {
  return Math.max(20, Math.min(MAX_COHORT, limit * rounds));
}

/** Returns the number of calls that tell elasticities apart by a step from `from` to `to`. */
export function callsFor(from: number, to: number, variance: number): number {
  const calls = 2 * (Math.sqrt(variance) / (PRECISION * Math.log(to / from))) ** 2;
  return Math.round(Math.max(MIN_COHORT, Math.min(MAX_COHORT, calls)));
}

/**
 * Returns the step that an experiment begins with, as a fraction: the smallest that can be judged. A low limit cannot
 * change by 5 %. Sizes differ at random, so that each limit near the present one is tried at times.
 *
 * @param random A number in `[0, 1)`.
 */
export function firstStep(limit: number, variance: number, random: number): number {
  const judged = Math.exp(Math.sqrt(2 * variance / callsOf(MAX_ROUNDS, limit)) / PRECISION) - 1;
  return Math.min(MAX_FIRST_STEP, Math.max(MIN_STEP, (0.2 + 0.2 * random) / Math.sqrt(limit), judged));
}

/** Returns the step after one up that had no effect: twice as large. */
export function nextStepUp(from: number, to: number, peak: number): number {
  const held = peak * HELD;
  // What has held is soon reached again. What is above it is tried from a first step on.
  const largest = from >= held ? 1 : to < held ? MAX_STEP : 0;
  return Math.min(largest, 2 * (to / from - 1));
}

/** Returns the step after one down that had its full effect: twice as large. */
export function nextStepDown(from: number, to: number): number {
  return Math.min(1, 2 * (from / to - 1));
}

/** Returns the limit that is higher by a step. One that has held comes before a higher one. */
export function higherLimit(from: number, step: number, peak: number): number {
  const to = Math.max(from + 1, Math.round(from * (1 + step)));
  return from < peak * HELD ? Math.min(to, Math.round(peak)) : to;
}

/** Returns the limit that is lower by a step. */
export function lowerLimit(from: number, step: number): number {
  return Math.min(from - 1, Math.round(from / (1 + step)));
}

/**
 * Returns the time until the next experiment, in ms. Every other one is with a higher limit.
 *
 * @param step The fraction of that experiment.
 * @param roundMs The latency of calls, in ms.
 * @param peak The highest limit of late.
 */
export function restMs(limit: number, step: number, variance: number, roundMs: number, peak: number): number {
  // Below a limit that has held, a second cohort may be needed.
  const cohorts = limit < peak ? 2 : 1;
  const rounds = ROUNDS_BETWEEN * (1 + cohorts * callsFor(limit, limit * (1 + step), variance) / limit);
  const max = limit < peak / 2 ? MAX_RECOVERY_INTERVAL_MS : MAX_INTERVAL_MS;
  return Math.max(MIN_INTERVAL_MS, Math.min(max, rounds * roundMs)) / 2;
}
