/**
 * The types and constants of the pool cases.
 *
 * @module
 */
import type { Candidate as AnyCandidate, Case as AnyCase, Measurement as AnyMeasurement } from "../../support/case.ts";
import type { OpenCandidate, PoolCandidate } from "../candidates/mod.ts";
import type { Loops } from "../loops.ts";

/** The metrics of the cases. */
export type Metric =
  /** Time of one acquire and release, in ns. */
  | "ns"
  /** Bytes of heap allocated by one acquire and release. */
  | "bytes"
  /** The longest time between two turns of the event loop, in ms. */
  | "longestTickMs"
  /** Bytes of heap retained afterwards. */
  | "retainedBytes"
  /** Operations per second. */
  | "perSecond"
  /** Median time of an operation, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** The maximum of concurrent connections of the server. */
  | "peakBackends";

/** The values of a measurement. */
export type Measurement = AnyMeasurement<Metric>;

/** A candidate of a case. */
export type Candidate = AnyCandidate<Metric>;

/** A case of the pool benchmark. */
export type Case = AnyCase<Metric>;

/** An opened candidate with its loops. */
export interface Setup {
  readonly candidate: PoolCandidate;
  /** The candidate, opened with {@linkcode SLOTS} slots. */
  readonly opened: OpenCandidate;
  readonly loops: Loops;
}

/** The slots of each candidate. */
export const SLOTS = 10;

/** The callers that contend for the slots. */
export const CALLERS = 100;

/** An acquire timeout longer than any measurement, in ms. */
export const TIMEOUT_MS = 120_000;
