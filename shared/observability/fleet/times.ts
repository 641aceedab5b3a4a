/**
 * The times of leases in the last minutes, as counts that can be added up over isolates.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";

/** The upper bounds of the counts, in ms. One more count is for longer times. */
export const TIME_BOUNDS_MS: readonly number[] = Object.freeze(
  [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000],
);

/** The times of leases: how many were at most as long as each of {@linkcode TIME_BOUNDS_MS}, and not as short as the one before. */
export interface FleetTimes {
  /** One count for each bound, and one for longer times. */
  readonly counts: readonly number[];
  /** The longest time, in ms. */
  readonly maxMs: number;
}

/** The percentiles of times, in ms. */
export interface FleetPercentiles {
  /** The number of times. */
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The time after which half of the times are forgotten, in ms. */
const HALF_WINDOW_MS = 150_000;

function emptyCounts(): number[] {
  return Array(TIME_BOUNDS_MS.length + 1).fill(0);
}

/** Counts times of the last 2.5 to 5 minutes. */
export class TimeWindow {
  readonly #clock: Clock;
  #counts = emptyCounts();
  #maxMs = 0;
  #former: FleetTimes = { counts: emptyCounts(), maxMs: 0 };
  #turnsAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#turnsAt = clock.now() + HALF_WINDOW_MS;
  }

  /** Counts a time, in ms. Reads no clock. */
  add(ms: number): void {
    let at = 0;
    while (ms > (TIME_BOUNDS_MS[at] ?? Infinity)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Returns the counts. */
  read(): FleetTimes {
    const now = this.#clock.now();
    if (now >= this.#turnsAt) {
      // After a pause of a whole window, the latest counts are old as well.
      const isOld = now >= this.#turnsAt + HALF_WINDOW_MS;
      this.#former = isOld ? { counts: emptyCounts(), maxMs: 0 } : { counts: this.#counts, maxMs: this.#maxMs };
      this.#counts = emptyCounts();
      this.#maxMs = 0;
      this.#turnsAt = now + HALF_WINDOW_MS;
    }
    return sumTimes([this.#former, { counts: this.#counts, maxMs: this.#maxMs }]);
  }
}

/** Adds up times. */
export function sumTimes(all: readonly FleetTimes[]): FleetTimes {
  const counts = emptyCounts();
  let maxMs = 0;
  for (const times of all) {
    for (const at of counts.keys()) counts[at] = (counts[at] ?? 0) + (times.counts[at] ?? 0);
    maxMs = Math.max(maxMs, times.maxMs);
  }
  return { counts, maxMs };
}

/** Returns the percentiles of times: between two bounds, they are taken to be spread evenly. */
export function percentilesOf({ counts, maxMs }: FleetTimes): FleetPercentiles {
  const count = counts.reduce((sum, n) => sum + n, 0);
  const at = (share: number): number => {
    let rest = share * count;
    // The last count takes what rounding leaves.
    const found = counts.findIndex((n) => rest <= n || (rest -= n, false));
    const index = found < 0 ? TIME_BOUNDS_MS.length : found;
    const from = TIME_BOUNDS_MS[index - 1] ?? 0;
    const to = Math.min(TIME_BOUNDS_MS[index] ?? maxMs, maxMs);
    return from + Math.max(to - from, 0) * Math.min(rest / (counts[index] || 1), 1);
  };
  return count === 0
    ? { count, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 }
    : { count, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs };
}
