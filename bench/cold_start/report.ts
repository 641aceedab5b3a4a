/**
 * The results as text and as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, targetTable } from "../support/text.ts";
import type { Loaded, Metric } from "./candidates.ts";

/** The results of a run, and the modules of each candidate. */
export interface ColdStartResults extends Results<Metric> {
  readonly loaded: readonly Loaded[];
}

const columns = (caseId: string): Column<Metric>[] => [
  { caseId, metric: "importMs", title: "import ms" },
  { caseId, metric: "answerMs", title: "first request ms" },
  { caseId, metric: "totalMs", title: "sum ms" },
  { caseId, metric: "cpuMs", title: "processor ms" },
  { caseId, metric: "processMs", title: "process ms" },
];

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "sources", metric: "totalMs", title: "From sources: import and first request, in ms" },
  { caseId: "bundled", metric: "totalMs", title: "Bundled: import and first request, in ms" },
  { caseId: "hosted", metric: "totalMs", title: "Bundled, on the Deno of the hosted runtime, in ms" },
  { caseId: "verified", metric: "totalMs", title: "The same for a user, the token verified, in ms" },
];

function lines({ title, folders, packages }: Loaded): string {
  const counted = Object.entries(folders).map(([folder, count]) => `${folder} ${count}`).join(", ");
  return `${title} loads\n  modules   ${counted}\n  packages  ${packages.join(", ")}\n`;
}

/** Formats the results for a terminal. */
export function report(results: ColdStartResults): string {
  return heading(results) +
    section("from sources", results, columns("sources"), medianOf) +
    section("bundled", results, columns("bundled"), medianOf) +
    section("bundled, on the Deno of the hosted runtime", results, columns("hosted"), medianOf) +
    section("the same for a user, the token verified", results, columns("verified"), medianOf) +
    `${results.loaded.map(lines).join("")}\n${targetTable(results.targets)}`;
}

/** Draws the panels of the measured cases as an SVG document. */
export function plot(results: ColdStartResults): string {
  return plotResults("The first request of a cold isolate", results, PANELS);
}
