/**
 * `deno task bench:fair`: measures what one user waits while another one floods
 * the function, with and without `fairShare`, over HTTP.
 *
 * The callers run in this process, each function and each Data API in another.
 * Each caller sends its next request when the last one has completed.
 *
 * @module
 */
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import type { Target } from "../support/targets.ts";
import { type Column, heading, medianOf, section, targetTable } from "../support/text.ts";
import { CASE_IDS, FULL, type Metric, openCases, type Size } from "./cases.ts";

const HELP = `Usage: deno task bench:fair [options]

Measures what one user waits while another one keeps 150 requests under way, with
and without fairShare, over HTTP.

  --quick          Fewer and shorter rounds
  --rounds <n>     How many rounds are counted (default 9, quick 2)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where fair.json and fair.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a target does not hold
  --help           Print this
`;

const QUICK: Size = { flood: 150, forMs: 1_000 };

/** The targets of fair share. */
export const TARGETS: readonly Target<Metric>[] = [
  {
    what: "fairShare: p50 beside a flood, to alone",
    relation: "at most",
    limit: 2,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("flood", "ours", "p50Ms") / at("flood", "alone", "p50Ms")),
  },
  {
    what: "fairShare, to first come, first served: requests per second",
    relation: "at least",
    limit: 0.97,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("flood", "ours") / at("flood", "fifo")),
  },
];

const COLUMNS: readonly Column<Metric>[] = [
  { caseId: "flood", metric: "p50Ms", title: "p50 ms" },
  { caseId: "flood", metric: "p99Ms", title: "p99 ms" },
  { caseId: "flood", metric: "requestsPerSecond", title: "requests/s" },
];

const bench: Bench<Results<Metric>> = {
  name: "fair",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 9, quick: 2 },
  collects: false,
  async measure(options, onRounds) {
    const here = environment(["@supabase/server", "@supabase/supabase-js"]);
    await using resources = new AsyncDisposableStack();
    const cases = await openCases(options.quick ? QUICK : FULL, resources);
    return await measurePhases([{ cases, warmUps: 1 }], {
      options,
      onRounds,
      environment: here,
      metric: "requestsPerSecond",
      targets: TARGETS,
    });
  },
  report: (results) =>
    heading(results) + section("the one user", results, COLUMNS, medianOf) + targetTable(results.targets),
  plot: (results) =>
    plotResults("Fair share", results, [
      { caseId: "flood", metric: "p50Ms", title: "One user beside a flood: p50 in ms" },
      { caseId: "flood", metric: "requestsPerSecond", title: "All requests per second" },
    ]),
};

if (import.meta.main) await runBench(bench, Deno.args);
