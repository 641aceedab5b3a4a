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
import { startDataApi } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import type { Results } from "../support/results.ts";
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
  async measure(options, onRounds) {
    const here = environment(["@supabase/server", "@supabase/supabase-js", "jose"]);
    await using dataApi = await startDataApi();
    const project = await createProject(dataApi.url, CALLERS);
    const results = await measurePhases(allPhases(project), {
      options,
      onRounds,
      environment: here,
      metric: "requestsPerSecond",
      targets: TARGETS,
      unrelated: ["retainedBytes"],
    });
    await openPool(project).shutdown();
    return results;
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
