/**
 * The report of all benchmarks.
 *
 * @module
 */
export { renderReport, type ReportOptions } from "./render.ts";
export { type BenchmarkName, BENCHMARKS, readStored, type StoredResults } from "./stored.ts";

import { renderReport } from "./render.ts";
import { readStored } from "./stored.ts";

/** The folder of the stored results. */
export const RESULTS = new URL("../results/", import.meta.url);

/** Renders `bench/report.md` from the stored results. */
export async function renderStoredReport(): Promise<string> {
  return renderReport(await readStored(RESULTS), {
    command: "npx -y deno task bench --full",
    plots: "results/",
  });
}
