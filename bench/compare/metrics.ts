/**
 * What is measured before and after.
 *
 * @module
 */

/** The figures of one burst of requests. */
export type Metric =
  /** Mean time of an answer, in ms. */
  | "meanMs"
  /** Half of the answers took no longer, in ms. */
  | "p50Ms"
  /** 95 of 100 answers took no longer, in ms. */
  | "p95Ms"
  /** 99 of 100 answers took no longer, in ms. */
  | "p99Ms"
  /** Requests answered in a second. */
  | "requestsPerSecond"
  /** Most sockets to the stack at once. */
  | "sockets"
  /** Most connections of the Data API to Postgres at once. */
  | "backends"
  /** Most of these at work at once. */
  | "busyBackends"
  /** The largest heap, in MB (2^20 bytes). */
  | "heapMb";

/** Those that a process finds out by itself. */
export type OwnMetric = Exclude<Metric, "backends" | "busyBackends">;

/** How the heap stood: so long into the bursts, in ms, so many MB. */
export type HeapSample = readonly [atMs: number, mb: number];

/** What a process says of one burst. */
export interface Burst {
  readonly figures: Readonly<Record<OwnMetric, number>>;
  readonly heap: readonly HeapSample[];
}
