/**
 * What a cold start is to reach, as data.
 *
 * @module
 */
import type { Bar } from "../support/bars.ts";
import type { Metric } from "./entrants.ts";

const over = (caseId: string, what: string): Bar<Metric> => ({
  what,
  relation: "at most",
  limit: 5,
  unit: "ms",
  figure: (figures) => figures.perRound((at) => at(caseId, "ours", "totalMs") - at(caseId, "bare", "totalMs")),
});

/** All bars, in the order of the report. */
export const BARS: readonly Bar<Metric>[] = [
  over("sources", "from sources: import and first answer, more than a bare client"),
  over("bundled", "bundled: import and first answer, more than a bare client"),
  over("hosted", "bundled, on the Deno of the hosted runtime: import and first answer, more than a bare client"),
];
