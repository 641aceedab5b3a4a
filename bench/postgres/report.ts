/**
 * The results as text.
 *
 * @module
 */
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, timesOursOf, verdicts } from "../support/text.ts";
import { type Metric, WORK } from "./cases.ts";

const columns = (caseId: string): Column<Metric>[] => [
  { caseId, metric: "perSecond", title: "per second" },
  { caseId, metric: "p50Ms", title: "p50 ms" },
  { caseId, metric: "p99Ms", title: "p99 ms" },
  { caseId, metric: "peakBackends", title: "connections" },
];

const SPEED: readonly Column<Metric>[] = WORK.map(({ id, title }) => ({ caseId: id, metric: "perSecond", title }));

/** Everything, for a terminal. */
export function report(results: Results<Metric>): string {
  return heading(results) +
    WORK.map(({ id, title }) => section(title, results, columns(id), medianOf)).join("") +
    section("per second, times ours", results, SPEED, timesOursOf) +
    section("10 ms away", results, [{ caseId: "latency", metric: "p50Ms", title: "p50 ms" }], medianOf) +
    verdicts(results.bars);
}
