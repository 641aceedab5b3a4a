/**
 * The results as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Metric, WORK } from "./cases.ts";

const PANELS: readonly Panel<Metric>[] = [
  ...WORK.flatMap(({ id, title }): Panel<Metric>[] => [
    { caseId: id, metric: "perSecond", title: `100 callers on 10 connections, ${title}: per second` },
    { caseId: id, metric: "p99Ms", title: `The same: p99 in ms` },
  ]),
  { caseId: "latency", metric: "p50Ms", title: "One caller, 10 ms away: p50 in ms" },
];

/** The plot, an SVG document; of the panels, those whose case was measured. */
export function plot(results: Results<Metric>): string {
  return plotResults("Direct Postgres beside pg and postgres.js", results, PANELS);
}
