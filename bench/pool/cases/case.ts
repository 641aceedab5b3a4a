/**
 * What is measured, of whom.
 *
 * @module
 */
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
  | "retainedBytes";

/** What one measurement found. */
export type Measurement = { readonly [M in Metric]?: number };

/** One of those measured in a case. */
export interface Entrant {
  readonly id: string;
  readonly title: string;
  /** Measures once. */
  measure(): Measurement | Promise<Measurement>;
}

/** Something to measure, and all of whom it is measured. In a round, each is measured once. */
export interface Case {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly entrants: readonly Entrant[];
}

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
