/**
 * The results as a plot.
 *
 * @module
 */
import { type Panel, plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import type { Metric } from "./cases/mod.ts";

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "one", metric: "ns", title: "One caller: ns per acquire and release" },
  { caseId: "callers", metric: "ns", title: "100 callers on 10 slots: ns per acquire and release" },
  { caseId: "crowd_10k", metric: "ns", title: "10,000 waiters at once: ns each" },
  { caseId: "crowd_100k", metric: "ns", title: "100,000 waiters at once: ns each" },
  { caseId: "bytes", metric: "bytes", title: "100 callers: bytes of heap per acquire and release" },
  { caseId: "expiry_10k", metric: "ns", title: "10,000 waiters expire at once: ns each" },
];

/** The plot, an SVG document; of the panels, those whose case was measured. */
export function plot(results: Results<Metric>): string {
  return plotResults("The pool core beside other pools", results, PANELS);
}
