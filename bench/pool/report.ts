/**
 * The results as text and as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import type { Metric } from "./cases/mod.ts";

const MAIN: readonly Column<Metric>[] = [
  { caseId: "one", metric: "ns", title: "one caller" },
  { caseId: "callers", metric: "ns", title: "100 callers" },
  { caseId: "crowd_10k", metric: "ns", title: "10k waiters" },
  { caseId: "crowd_100k", metric: "ns", title: "100k waiters" },
  { caseId: "bytes", metric: "bytes", title: "bytes per op" },
];

const EXPIRY: readonly Column<Metric>[] = ["10k", "50k"].flatMap((crowd): Column<Metric>[] => [
  { caseId: `expiry_${crowd}`, metric: "ns", title: `${crowd}: ns each` },
  { caseId: `expiry_${crowd}`, metric: "longestTickMs", title: "longest tick ms" },
  { caseId: `expiry_${crowd}`, metric: "retainedBytes", title: "bytes kept" },
]);

const SYNC: readonly Column<Metric>[] = [{ caseId: "sync", metric: "ns", title: "ns" }];
const RETENTION: readonly Column<Metric>[] = [{ caseId: "retention", metric: "retainedBytes", title: "bytes kept" }];

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "one", metric: "ns", title: "One caller: ns per acquire and release" },
  { caseId: "callers", metric: "ns", title: "100 callers on 10 slots: ns per acquire and release" },
  { caseId: "crowd_10k", metric: "ns", title: "10,000 waiters at once: ns each" },
  { caseId: "crowd_100k", metric: "ns", title: "100,000 waiters at once: ns each" },
  { caseId: "bytes", metric: "bytes", title: "100 callers: bytes of heap per acquire and release" },
  { caseId: "expiry_10k", metric: "ns", title: "10,000 waiters expire at once: ns each" },
];

/** Formats the results for a terminal. */
export function report(results: Results<Metric>): string {
  return heading(results) +
    section("ns per acquire and release", results, MAIN, medianOf) +
    section("times ours", results, MAIN, timesOursOf) +
    section("a crowd expires at once", results, EXPIRY, medianOf) +
    section("without waiting", results, SYNC, medianOf) +
    section("after 1,000,000 leases", results, RETENTION, medianOf) +
    targetTable(results.targets);
}

/** Draws the panels of the measured cases as an SVG document. */
export function plot(results: Results<Metric>): string {
  return plotResults("The pool core compared with other pools", results, PANELS);
}
