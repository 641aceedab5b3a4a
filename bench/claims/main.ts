/**
 * `deno task bench:claims`: measures two claims of the documentation. New
 * clients share the sockets of the isolate, and a limit on concurrency changes
 * throughput and latency under many callers.
 *
 * The callers, the clients and the pools run in this process; each server runs
 * in another. In the case `limits`, each caller sends its next request when the
 * last one has completed.
 *
 * @module
 */
import type { Target } from "../support/targets.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { type Column, heading, medianOf, section, targetTable } from "../support/text.ts";
import { CASE_IDS, FULL, type Metric, openCases, type Size } from "./cases.ts";

const HELP = `Usage: deno task bench:claims [options]

Measures how many sockets 2,000 new clients use, and what a limit on concurrency
does to 1,000 callers of a Data API that takes 5 ms to respond.

  --quick          Fewer rounds, requests and callers
  --rounds <n>     How many rounds are counted (default 9, quick 2)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where claims.json and claims.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a target does not hold
  --help           Print this
`;

const QUICK: Size = { requests: 200, callers: 300, forMs: 300 };

/** The claims, as targets. */
export const TARGETS: readonly Target<Metric>[] = [
  {
    what: "new clients, one at a time: sockets",
    relation: "at most",
    limit: 1,
    unit: "connections",
    value: (measured) => measured.perRound((at) => at("sockets", "fresh", "sockets")),
  },
  {
    what: "pool of 20, 100 at a time: sockets",
    relation: "at most",
    limit: 20,
    unit: "connections",
    value: (measured) => measured.perRound((at) => at("sockets", "ours", "sockets")),
  },
  {
    what: "a limit of 100, to a limit of 10: requests per second",
    relation: "at least",
    limit: 2,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("limits", "ours") / at("limits", "limit_10")),
  },
  {
    what: "a limit of 100, to none: requests per second",
    relation: "at least",
    limit: 1,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("limits", "ours") / at("limits", "no_limit")),
  },
  {
    what: "a limit of 100, to none: p99",
    relation: "at most",
    limit: 1,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("limits", "ours", "p99Ms") / at("limits", "no_limit", "p99Ms")),
  },
];

const SOCKETS: readonly Column<Metric>[] = [{ caseId: "sockets", metric: "sockets", title: "sockets" }];
const LIMITS: readonly Column<Metric>[] = [
  { caseId: "limits", metric: "requestsPerSecond", title: "requests/s" },
  { caseId: "limits", metric: "p50Ms", title: "p50 ms" },
  { caseId: "limits", metric: "p99Ms", title: "p99 ms" },
];

const bench: Bench<Results<Metric>> = {
  name: "claims",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 9, quick: 2 },
  collects: false,
  async measure(options, onRounds) {
    const here = environment(["@supabase/supabase-js"]);
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
    heading(results) +
    section("sockets used", results, SOCKETS, medianOf) +
    section("callers under a limit", results, LIMITS, medianOf) +
    targetTable(results.targets),
  plot: (results) =>
    plotResults("Sockets and limits", results, [
      { caseId: "sockets", metric: "sockets", title: "Sockets used by 2,000 requests" },
      { caseId: "limits", metric: "requestsPerSecond", title: "1,000 callers, 5 ms each: requests per second" },
      { caseId: "limits", metric: "p99Ms", title: "1,000 callers, 5 ms each: p99 in ms" },
    ]),
};

if (import.meta.main) await runBench(bench, Deno.args);
