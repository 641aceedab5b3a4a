/**
 * What is measured, of whom.
 *
 * @module
 */
import type { Case as AnyCase, Entrant as AnyEntrant, Measurement as AnyMeasurement } from "../../support/case.ts";
import type { Contender, Session } from "../contenders/mod.ts";
import type { Driver } from "../drive.ts";

/** The figures a case can yield. */
export type Metric =
  /** Time of one acquire and release, in ns. */
  | "ns"
  /** Bytes of heap allocated by one acquire and release. */
  | "bytes"
  /** The longest time in which the event loop served nothing else, in ms. */
  | "longestTickMs"
  /** Bytes of heap still referred to afterwards. */
  | "retainedBytes"
  /** Operations done in a second. */
  | "perSecond"
  /** The time that half of the operations took at most, in ms. */
  | "p50Ms"
  /** The time that 99 % of the operations took at most, in ms. */
  | "p99Ms"
  /** The most connections that the server had at once. */
  | "peakBackends";

/** What one measurement found. */
export type Measurement = AnyMeasurement<Metric>;

/** One of those measured in a case. */
export type Entrant = AnyEntrant<Metric>;

/** Something to measure, and all of whom it is measured. */
export type Case = AnyCase<Metric>;

/** A contender that is ready to be measured. */
export interface Stand {
  readonly contender: Contender;
  /** Lends {@linkcode SLOTS} at once. */
  readonly session: Session;
  readonly driver: Driver;
}

/** How much every contender lends at once. */
export const SLOTS = 10;

/** How many callers contend for it. */
export const CALLERS = 100;

/** Longer than any measurement: a deadline that is there and never comes. */
export const TIMEOUT_MS = 120_000;
