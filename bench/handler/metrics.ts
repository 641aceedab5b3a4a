/**
 * What is measured of handlers.
 *
 * @module
 */

/** The figures a case can yield. */
export type Metric =
  /** Requests answered in a second. */
  | "requestsPerSecond"
  /** Half of the requests were answered within so many ms. */
  | "p50Ms"
  /** 99 of 100 requests were answered within so many ms. */
  | "p99Ms"
  /** Processor time of this process on one request or one part of it, in µs: all threads. */
  | "cpuUs"
  /** Bytes of heap allocated by one. */
  | "bytes"
  /** Bytes of heap still referred to afterwards. */
  | "retainedBytes";
