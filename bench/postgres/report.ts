/**
 * The results as text and as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import type { Metric } from "./cases.ts";
import { CLIENTS, pgbenchCaseId } from "./pgbench.ts";
import { WORK } from "./work.ts";

const columns = (caseId: string): Column<Metric>[] => [
  { caseId, metric: "perSecond", title: "per second" },
  { caseId, metric: "p50Ms", title: "p50 ms" },
  { caseId, metric: "p99Ms", title: "p99 ms" },
  { caseId, metric: "peakBackends", title: "connections" },
];

const SPEED: readonly Column<Metric>[] = WORK.map(({ id, title }) => ({ caseId: id, metric: "perSecond", title }));

/** The columns of the cases beside pgbench. */
const PGBENCH: readonly Column<Metric>[] = WORK.map(({ id, title }) => ({
  caseId: pgbenchCaseId(id),
  metric: "perSecond",
  title,
}));

const PANELS: readonly Panel<Metric>[] = [
  ...WORK.flatMap(({ id, title }): Panel<Metric>[] => [
    { caseId: id, metric: "perSecond", title: `100 callers on 10 connections, ${title}: per second` },
    { caseId: id, metric: "p99Ms", title: `The same: p99 in ms` },
  ]),
  ...PGBENCH.map(({ caseId, metric, title }): Panel<Metric> => ({
    caseId,
    metric,
    title: `${CLIENTS} callers on as many connections, ${title}: per second`,
  })),
  { caseId: "latency", metric: "p50Ms", title: "One caller, 10 ms away: p50 in ms" },
  { caseId: "setup", metric: "setupUs", title: "One caller gets a connection: p50 in µs" },
  { caseId: "overload", metric: "peakBackends", title: "200 callers at once: connections" },
];

const SETUP: readonly Column<Metric>[] = [
  { caseId: "setup", metric: "setupUs", title: "µs" },
];

const OVERLOAD: readonly Column<Metric>[] = [
  { caseId: "overload", metric: "perSecond", title: "per second" },
  { caseId: "overload", metric: "p50Ms", title: "p50 ms" },
  { caseId: "overload", metric: "failedPercent", title: "failed %" },
  { caseId: "overload", metric: "peakBackends", title: "connections" },
];

/** Formats the results for a terminal. */
export function report(results: Results<Metric>): string {
  return heading(results) +
    WORK.map(({ id, title }) => section(title, results, columns(id), medianOf)).join("") +
    section("per second, times ours", results, SPEED, timesOursOf) +
    section(`${CLIENTS} callers, per second`, results, PGBENCH, medianOf) +
    section(`${CLIENTS} callers, per second, times ours`, results, PGBENCH, timesOursOf) +
    section("10 ms away", results, [{ caseId: "latency", metric: "p50Ms", title: "p50 ms" }], medianOf) +
    section("a connection, until it is usable", results, SETUP, medianOf) +
    section("200 callers at once", results, OVERLOAD, medianOf) +
    targetTable(results.targets);
}

/** Draws the panels of the measured cases as an SVG document. */
export function plot(results: Results<Metric>): string {
  return plotResults("Direct Postgres compared with pg and postgres.js", results, PANELS);
}
