/**
 * The metrics of the comparison.
 *
 * @module
 */

/** The metrics of a burst. */
export type Metric =
  /** Mean time of a request, in ms. */
  | "meanMs"
  /** Median time of a request, in ms. */
  | "p50Ms"
  /** 95th percentile of that time, in ms. */
  | "p95Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** Completed requests per second. */
  | "requestsPerSecond"
  /** Requests that failed, in percent. */
  | "failedPercent"
  /** Maximum of concurrent sockets to the stack. */
  | "sockets"
  /** Maximum of concurrent connections of the Data API to Postgres. */
  | "backends"
  /** Maximum of these that were active at the same time. */
  | "busyBackends"
  /** Maximum size of the heap, in MB (2^20 bytes). */
  | "heapMb";

/** The metrics that a worker measures itself. */
export type OwnMetric = Exclude<Metric, "backends" | "busyBackends">;

/** The size of the heap at a time since the start of the bursts. */
export type HeapSample = readonly [atMs: number, mb: number];

/** The result of a burst, as a worker prints it. */
export interface Burst {
  readonly measured: Readonly<Record<OwnMetric, number>>;
  readonly heap: readonly HeapSample[];
}
