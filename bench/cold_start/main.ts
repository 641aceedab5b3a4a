/**
 * `deno task bench:cold_start`: measures what the first request of a cold
 * isolate takes, prints what was found, and writes it down.
 *
 * Every start is a process of its own, with Deno's caches warm; in a round each
 * function is started once, in an order drawn anew. A process tells how long it
 * loaded its function and how long the first answer took. Three forms of each:
 *
 * - *from sources*, as on a developer's machine: each module is looked up and
 *   read by itself;
 * - *bundled*, as what is deployed is: hosted isolates read no single modules
 *   from a disk. What is imported on demand stays apart and is not read before.
 *   The bundler leaves out what is not used, of all functions alike;
 * - *the same on the Deno of the hosted runtime*: a newer one loads its own
 *   parts for timers and for the context of asynchronous calls when they are
 *   first used, which a bare client does without.
 *
 * In these nobody is verified, since a bare client verifies nobody. In the
 * fourth case, *verified*, the caller is a user, whose token all of them verify:
 * the bare client by `verifyAuth` of `@supabase/server`.
 *
 * @module
 */
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { judge } from "../support/bars.ts";
import { startDataApi } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { Figures } from "../support/figures.ts";
import { gather } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { BARS } from "./bars.ts";
import {
  bundle,
  hostedDeno,
  loadedBy,
  type Metric,
  moduleOf,
  signedInUser,
  type Start,
  startCase,
  STARTS,
  THIS_DENO,
  transpile,
  VERIFIED_STARTS,
} from "./entrants.ts";
import { type ColdStartResults, plot, report } from "./report.ts";

const CASE_IDS = ["sources", "bundled", "hosted", "verified"];

const HELP = `Usage: deno task bench:cold_start [options]

Measures the first request of a cold isolate: withPooledSupabase beside a bare
client and withSupabase, in fresh processes and interleaved rounds, and says
which of its bars hold.

  --quick          Fewer rounds
  --rounds <n>     How many rounds are counted (default 41, quick 9)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where cold_start.json and cold_start.svg go (default
                   bench/results for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a bar does not hold
  --help           Print this
`;

const bench: Bench<ColdStartResults> = {
  name: "cold_start",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 41, quick: 9 },
  collects: false,
  async measure({ quick, rounds, only }, onRounds) {
    const here = environment(["@supabase/server", "@supabase/supabase-js", "zod"]);
    const loaded = await Promise.all(STARTS.map(loadedBy));
    await using dataApi = await startDataApi();
    const folder = await Deno.makeTempDir({ prefix: "bench-cold-start-" });
    try {
      const bundled = new Map<string, string>();
      for (const start of new Set([...STARTS, ...VERIFIED_STARTS])) {
        bundled.set(start.entry, await bundle(moduleOf(start), folder));
      }
      const bundleOf = ({ entry }: Start) => bundled.get(entry) ?? "";
      const transpiled = new Map<string, string>();
      const transpiledOf = ({ entry }: Start) => transpiled.get(entry) ?? "";
      const wanted = (id: string) => only.length === 0 || only.includes(id);
      const hosted = wanted("hosted") || wanted("verified") ? await hostedDeno(`${folder}/cache`) : THIS_DENO;
      if (hosted !== THIS_DENO) {
        for (const [entry, path] of bundled) transpiled.set(entry, await transpile(path, hosted));
      }
      const title = `bundled, ${DENO_2_1}`;
      const cases = [
        startCase({ id: "sources", title: "from sources", starts: STARTS, pathOf: moduleOf, dataApi }),
        startCase({ id: "bundled", title: "bundled", starts: STARTS, pathOf: bundleOf, dataApi }),
        startCase({ id: "hosted", title, starts: STARTS, pathOf: transpiledOf, dataApi, runtime: hosted }),
        startCase({
          id: "verified",
          title: `${title}, a user`,
          starts: VERIFIED_STARTS,
          pathOf: transpiledOf,
          dataApi,
          runtime: hosted,
          caller: await signedInUser(dataApi.url),
        }),
      ].filter(({ id }) => wanted(id));
      const samples = new Samples();
      const warmUps = 2;
      await runRounds(cases, samples, { rounds, warmUps, onRound: onRounds(rounds + warmUps) });
      const figures = new Figures<Metric>(cases, samples, "totalMs");
      return { ...gather(figures, judge(figures, BARS), { environment: here, rounds, quick }), loaded };
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
