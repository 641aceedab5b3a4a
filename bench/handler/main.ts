/**
 * `deno task bench:handler`: compares `withPooledSupabase` with `withSupabase`
 * and with clients without a wrapper, prints a report and writes the results.
 *
 * - All handlers run in this process, in interleaved rounds; the Data API runs
 *   in another.
 * - 100 callers, each a user with an ES256 token, call the handlers as functions,
 *   without HTTP.
 * - Values are medians; ratios are medians of the rounds' ratios.
 * - Processor time is that of all threads of this process, because signatures
 *   are verified on other threads. Other programs change it less than they
 *   change elapsed time.
 *
 * Profiles: `deno run -A --cpu-prof --v8-flags=--expose-gc bench/handler/main.ts --only handlers`.
 *
 * @module
 */
import { checkTargets } from "../support/targets.ts";
import { startDataApi } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { MeasuredMetrics } from "../support/metrics.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { TARGETS } from "./targets.ts";
import { allPhases, CALLERS, CASE_IDS } from "./cases.ts";
import { openPool } from "./candidates.ts";
import type { Metric } from "./metrics.ts";
import { createProject } from "./project.ts";
import { plot, report } from "./report.ts";

const HELP = `Usage: deno task bench:handler [options]

Compares withPooledSupabase with withSupabase and with clients without a wrapper,
in interleaved rounds, and checks its targets.

  --quick          Fewer rounds
  --rounds <n>     The number of counted rounds (default 25, quick 5)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   The folder for handler.json and handler.svg (default bench/results
                   for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
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
    const measured = new MeasuredMetrics<Metric>(phases.flatMap(({ cases }) => cases), samples, "requestsPerSecond");
    // The retained bytes are around zero and have no meaningful ratio.
    return gather(measured, checkTargets(measured, TARGETS), { environment: here, rounds, quick }, ["retainedBytes"]);
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
