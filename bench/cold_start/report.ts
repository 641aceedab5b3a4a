/**
 * The results as text, and as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, verdicts } from "../support/text.ts";
import type { Loaded, Metric } from "./entrants.ts";

/** The results of a run, and what each function loads. */
export interface ColdStartResults extends Results<Metric> {
  readonly loaded: readonly Loaded[];
}

const columns = (caseId: string): Column<Metric>[] => [
  { caseId, metric: "importMs", title: "import ms" },
  { caseId, metric: "answerMs", title: "first answer ms" },
  { caseId, metric: "totalMs", title: "both ms" },
  { caseId, metric: "cpuMs", title: "processor ms" },
  { caseId, metric: "processMs", title: "process ms" },
];

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "sources", metric: "totalMs", title: "From sources: import and first answer, in ms" },
  { caseId: "bundled", metric: "totalMs", title: "Bundled: import and first answer, in ms" },
  { caseId: "hosted", metric: "totalMs", title: "Bundled, on the Deno of the hosted runtime, in ms" },
  { caseId: "verified", metric: "totalMs", title: "The same for a user, the token verified, in ms" },
];

function lines({ title, folders, packages }: Loaded): string {
  const counted = Object.entries(folders).map(([folder, count]) => `${folder} ${count}`).join(", ");
  return `${title} loads\n  modules   ${counted}\n  packages  ${packages.join(", ")}\n`;
}

/** Everything, for a terminal. */
export function report(results: ColdStartResults): string {
  return heading(results) +
    section("from sources", results, columns("sources"), medianOf) +
    section("bundled", results, columns("bundled"), medianOf) +
    section("bundled, on the Deno of the hosted runtime", results, columns("hosted"), medianOf) +
    section("the same for a user, the token verified", results, columns("verified"), medianOf) +
    `${results.loaded.map(lines).join("")}\n${verdicts(results.bars)}`;
}

/** The plot, an SVG document; of the panels, those whose case was measured. */
export function plot(results: ColdStartResults): string {
  return plotResults("The first request of a cold isolate", results, PANELS);
}
