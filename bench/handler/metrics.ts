/**
 * The metrics of the handler benchmark.
 *
 * @module
 */

/** The metrics of the cases. */
export type Metric =
  /** Completed requests per second. */
  | "requestsPerSecond"
  /** Median time of a request, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** Processor time of a request or a step in µs, all threads of this process included. */
  | "cpuUs"
  /** Allocated bytes of heap. */
  | "bytes"
  /** Bytes of heap retained afterwards. */
  | "retainedBytes";
