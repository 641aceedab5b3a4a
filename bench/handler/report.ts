/**
 * The results as text and as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import type { Metric } from "./metrics.ts";

const HANDLERS: readonly Column<Metric>[] = [
  { caseId: "handlers", metric: "requestsPerSecond", title: "requests/s" },
  { caseId: "handlers", metric: "p50Ms", title: "p50 ms" },
  { caseId: "handlers", metric: "p99Ms", title: "p99 ms" },
  { caseId: "handlers", metric: "cpuUs", title: "µs of processor" },
];

const STEPS: readonly Column<Metric>[] = [{ caseId: "steps", metric: "cpuUs", title: "µs of processor" }];
const BYTES: readonly Column<Metric>[] = [{ caseId: "bytes", metric: "bytes", title: "bytes" }];
const RETENTION: readonly Column<Metric>[] = [{
  caseId: "retention",
  metric: "retainedBytes",
  title: "bytes retained",
}];

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "handlers", metric: "requestsPerSecond", title: "100 callers: requests per second" },
  { caseId: "handlers", metric: "p99Ms", title: "100 callers: p99 in ms" },
  { caseId: "handlers", metric: "cpuUs", title: "µs of processor time per request, callers included" },
  { caseId: "steps", metric: "cpuUs", title: "The steps of a request, each alone: µs of processor time" },
];

/** Formats the results for a terminal. */
export function report(results: Results<Metric>): string {
  return heading(results) +
    section("100 callers", results, HANDLERS, medianOf) +
    section("times ours", results, HANDLERS, timesOursOf) +
    section("the steps of a request, each alone", results, STEPS, medianOf) +
    section("heap allocated", results, BYTES, medianOf) +
    section("after 1,000,000 leases", results, RETENTION, medianOf) +
    targetTable(results.targets);
}

/** Draws the panels of the measured cases as an SVG document. */
export function plot(results: Results<Metric>): string {
  return plotResults("withPooledSupabase compared with other handlers", results, PANELS);
}
