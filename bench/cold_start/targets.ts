/**
 * The targets of a cold start.
 *
 * @module
 */
import type { Target } from "../support/targets.ts";
import type { Metric } from "./candidates.ts";

const ratio = (
  caseId: string,
  other: string,
  metric: Metric,
  limit: number,
  what: string,
  ours = "ours",
): Target<Metric> => ({
  what,
  relation: "at most",
  limit,
  unit: "×",
  value: (measured) => measured.perRound((at) => at(caseId, ours, metric) / at(caseId, other, metric)),
});

const difference = (caseId: string, what: string): Target<Metric> => ({
  what,
  relation: "at most",
  limit: 5,
  unit: "ms",
  value: (measured) => measured.perRound((at) => at(caseId, "ours", "totalMs") - at(caseId, "bare", "totalMs")),
});

/** All targets, in report order. */
export const TARGETS: readonly Target<Metric>[] = [
  difference("sources", "from sources: import and first request, beyond a bare client"),
  difference("bundled", "bundled: import and first request, beyond a bare client"),
  difference("hosted", "bundled, on the Deno of the hosted runtime: import and first request, beyond a bare client"),
  ratio(
    "hosted",
    "bare",
    "cpuMs",
    1.12,
    "bundled, on the Deno of the hosted runtime: processor time, to a bare client",
  ),
  ratio("verified", "with_supabase", "cpuMs", 1, "the same for a user: processor time, to withSupabase"),
  ratio(
    "hosted",
    "ours",
    "cpuMs",
    1.05,
    "bundled, on the Deno of the hosted runtime: processor time with metrics and fleet, to none",
    "ours_observed",
  ),
];
