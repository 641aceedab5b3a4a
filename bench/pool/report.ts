/**
 * The results as text.
 *
 * @module
 */
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, timesOursOf, verdicts } from "../support/text.ts";
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

/** Everything, for a terminal. */
export function report(results: Results<Metric>): string {
  return heading(results) +
    section("ns per acquire and release", results, MAIN, medianOf) +
    section("times ours", results, MAIN, timesOursOf) +
    section("a crowd expires at once", results, EXPIRY, medianOf) +
    section("without waiting", results, SYNC, medianOf) +
    section("after 1,000,000 leases", results, RETENTION, medianOf) +
    verdicts(results.bars);
}
