/**
 * `deno task bench:adaptive`: compares the limit of `maxConnections: "auto"` with fixed limits, no limit and p-limit,
 * over HTTP: 1,000 callers of a backend in another process, whose latency grows past its capacity.
 *
 * Every candidate runs through the same pool code, in interleaved rounds. The first round, in which the limit adapts, is
 * not counted.
 *
 * @module
 */
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import type { Target } from "../support/targets.ts";
import { type Column, heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import { CASE_IDS, FIXED_LIMITS, FULL, type Metric, openCases, QUICK } from "./cases.ts";

const HELP = `Usage: deno task bench:adaptive [options]

Compares maxConnections "auto" with fixed limits, no limit and p-limit, for ${FULL.callers}
callers of a backend in another process.

  --quick          Fewer and shorter rounds
  --rounds <n>     How many rounds are counted (default 5, quick 1)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where adaptive.json and adaptive.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a target does not hold
  --help           Print this
`;

const FIXED = FIXED_LIMITS.map((limit) => `fixed_${limit}`);

/** Within 15 % of the best fixed limit: throughput, and p99 among those with 95 % of that throughput. */
export const TARGETS: readonly Target<Metric>[] = CASE_IDS.flatMap((id): Target<Metric>[] => [
  {
    what: `${id} backend: requests per second, to the best fixed limit`,
    relation: "at least",
    limit: 0.85,
    unit: "×",
    value: (measured) => measured.perRound((at) => at(id, "ours") / Math.max(...FIXED.map((fixed) => at(id, fixed)))),
  },
  {
    what: `${id} backend: p99 of calls, to the best fixed limit with 95 % of the throughput`,
    relation: "at most",
    limit: 1.15,
    unit: "×",
    value: (measured) =>
      measured.perRound((at) => {
        const fixed = FIXED.map((name) => ({ perSecond: at(id, name), p99Ms: at(id, name, "p99Ms") }));
        const best = Math.max(...fixed.map(({ perSecond }) => perSecond));
        const good = fixed.filter(({ perSecond }) => !(perSecond < 0.95 * best));
        return at(id, "ours", "p99Ms") / Math.min(...good.map(({ p99Ms }) => p99Ms));
      }),
  },
]);

const COLUMNS: readonly Column<Metric>[] = CASE_IDS.flatMap((caseId) => [
  { caseId, metric: "requestsPerSecond", title: `${caseId}: requests/s` },
  { caseId, metric: "p50Ms", title: "p50 ms" },
  { caseId, metric: "p99Ms", title: "p99 ms" },
  { caseId, metric: "limit", title: "limit" },
]);

const bench: Bench<Results<Metric>> = {
  name: "adaptive",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 5, quick: 1 },
  collects: false,
  async measure(options, onRounds) {
    const here = environment(["@supabase/supabase-js", "p-limit"]);
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
    heading(results) + section("limits", results, COLUMNS, medianOf) +
    section("times auto", results, COLUMNS, timesOursOf) + targetTable(results.targets),
  plot: (results) =>
    plotResults(
      "Adaptive limit",
      results,
      CASE_IDS.flatMap((caseId) => [
        { caseId, metric: "requestsPerSecond", title: `${caseId} backend: requests per second` },
        { caseId, metric: "p99Ms", title: `${caseId} backend: p99 of calls in ms` },
      ]),
    ),
};

if (import.meta.main) await runBench(bench, Deno.args);
