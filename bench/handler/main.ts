/**
 * `deno task bench:handler`: measures `withPooledSupabase` beside
 * `withSupabase` and beside clients without a wrapper, prints what was found,
 * and writes it down.
 *
 * How it is measured, on a machine that does other work meanwhile:
 *
 * - All handlers run in this process, in interleaved rounds; the Data API, which
 *   has one answer, runs in another.
 * - 100 callers, each a user with an ES256 token of its own, call the handlers
 *   as functions: there is no HTTP before them.
 * - Figures are medians; ratios are medians of the rounds' ratios.
 * - Processor time is that of all threads of this process, so that signatures,
 *   which are checked on other threads, count. Other programs change it less
 *   than they change what is read off a clock.
 *
 * Profiles: `deno run -A --cpu-prof --v8-flags=--expose-gc bench/handler/main.ts --only handlers`.
 *
 * @module
 */
import { judge } from "../support/bars.ts";
import { startDataApi } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { Figures } from "../support/figures.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { BARS } from "./bars.ts";
import { allPhases, CALLERS, CASE_IDS } from "./cases.ts";
import { openPool } from "./contenders.ts";
import type { Metric } from "./metrics.ts";
import { createProject } from "./project.ts";
import { plot, report } from "./report.ts";

const HELP = `Usage: deno task bench:handler [options]

Measures withPooledSupabase beside withSupabase and beside clients without a
wrapper, in interleaved rounds, and says which of its bars hold.

  --quick          Fewer rounds
  --rounds <n>     How many rounds are counted (default 25, quick 5)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where handler.json and handler.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a bar does not hold
  --help           Print this
`;

const bench: Bench<Results<Metric>> = {
  name: "handler",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 25, quick: 5 },
  collects: true,
  async measure({ quick, rounds, only }, onRounds) {
    const here = environment(["@supabase/server", "@supabase/supabase-js", "jose"]);
    await using dataApi = await startDataApi();
    const project = await createProject(dataApi.url, CALLERS);
    const phases = allPhases(project).map(({ cases, warmUps, share }) => ({
      cases: cases.filter(({ id }) => only.length === 0 || only.includes(id)),
      warmUps,
      rounds: Math.ceil(rounds * share),
    })).filter(({ cases }) => cases.length > 0);
    const onRound = onRounds(phases.reduce((sum, phase) => sum + phase.warmUps + phase.rounds, 0));
    const samples = new Samples();
    for (const phase of phases) await runRounds(phase.cases, samples, { ...phase, onRound });
    await openPool(project).shutdown();
    const figures = new Figures<Metric>(phases.flatMap(({ cases }) => cases), samples, "requestsPerSecond");
    // What is kept in the heap is around zero: a ratio of it says nothing.
    return gather(figures, judge(figures, BARS), { environment: here, rounds, quick }, ["retainedBytes"]);
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
