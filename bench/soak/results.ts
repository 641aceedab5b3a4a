/**
 * The results of a soak, as written to `bench/results/soak.json`.
 *
 * @module
 */
import type { Environment } from "../support/environment.ts";

/** A value at a time since the start, in ms. */
export type Sample = readonly [atMs: number, value: number];

/** The judgment of a series. */
export interface Growth {
  /** The median of the first third after the warm-up. */
  readonly first: number;
  /** The median of the last third. */
  readonly last: number;
  /** The most that the last third may exceed the first by. */
  readonly allowed: number;
  /** The score of the Mann-Kendall test: above 2.33 the values rise, with 99 % confidence. */
  readonly trend: number;
  /** True if the series grows: it exceeds what is allowed, and rises. */
  readonly grows: boolean;
}

/** A measured series. */
export interface Series {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly samples: readonly Sample[];
  readonly growth: Growth;
}

/** The number of requests of a kind, and of those that failed. */
export interface LoadCount {
  readonly title: string;
  readonly sent: number;
  readonly failed: number;
}

/** The results of a soak. */
export interface SoakResults {
  readonly environment: Environment;
  /** The length of the load, in minutes. */
  readonly minutes: number;
  readonly series: readonly Series[];
  readonly load: readonly LoadCount[];
  /** The number of faults of each kind. */
  readonly faults: Readonly<Record<string, number>>;
}
