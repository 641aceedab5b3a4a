/**
 * `deno task bench:cold_start`: measures the first request of a cold isolate,
 * prints a report and writes the results.
 *
 * Each start is a process of its own, with warm caches of Deno; a round starts
 * each candidate once, in random order. There are three forms of each:
 *
 * - *from sources*, as on a developer's machine: each module is resolved and
 *   read by itself;
 * - *bundled*, like a deployment: hosted isolates read no single modules from a
 *   disk. Modules imported on demand stay separate and are not read before;
 * - *bundled, on the Deno of the hosted runtime*: a newer Deno loads its modules
 *   for timers and for the async context at their first use, which a bare client
 *   does not need.
 *
 * In these the caller is anonymous, because a bare client verifies nothing. In
 * the fourth case, *verified*, the caller is a user whose token every candidate
 * verifies, the bare client with `verifyAuth` of `@supabase/server`.
 *
 * @module
 */
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { startDataApi } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { TARGETS } from "./targets.ts";
import {
  bundle,
  CANDIDATES,
  type ColdStartCandidate,
  hostedDeno,
  loadedBy,
  moduleOf,
  signedInUser,
  startCase,
  THIS_DENO,
  transpile,
  VERIFIED_CANDIDATES,
} from "./candidates.ts";
import { type ColdStartResults, plot, report } from "./report.ts";

const CASE_IDS = ["sources", "bundled", "hosted", "verified"];

const HELP = `Usage: deno task bench:cold_start [options]

Measures the first request of a cold isolate: compares withPooledSupabase with a
bare client and withSupabase, in new processes and interleaved rounds, and checks
its targets.

  --quick          Fewer rounds
  --rounds <n>     The number of counted rounds (default 41, quick 9)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   The folder for cold_start.json and cold_start.svg (default
                   bench/results for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
  --help           Print this
`;

const bench: Bench<ColdStartResults> = {
  name: "cold_start",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 41, quick: 9 },
  collects: false,
  async measure(options, onRounds) {
    const here = environment(["@supabase/server", "@supabase/supabase-js", "zod"]);
    const loaded = await Promise.all(CANDIDATES.filter(({ env }) => !env).map(loadedBy));
    await using dataApi = await startDataApi();
    const folder = await Deno.makeTempDir({ prefix: "bench-cold-start-" });
    try {
      const bundled = new Map<string, string>();
      for (const start of new Set([...CANDIDATES, ...VERIFIED_CANDIDATES])) {
        bundled.set(start.entry, await bundle(moduleOf(start), folder));
      }
      const bundleOf = ({ entry }: ColdStartCandidate) => bundled.get(entry) ?? "";
      const transpiled = new Map<string, string>();
      const transpiledOf = ({ entry }: ColdStartCandidate) => transpiled.get(entry) ?? "";
      const { only } = options;
      const wanted = (id: string) => only.length === 0 || only.includes(id);
      const hosted = wanted("hosted") || wanted("verified") ? await hostedDeno(`${folder}/cache`) : THIS_DENO;
      if (hosted !== THIS_DENO) {
        for (const [entry, path] of bundled) transpiled.set(entry, await transpile(path, hosted));
      }
      const title = `bundled, ${DENO_2_1}`;
      const cases = [
        startCase({ id: "sources", title: "from sources", candidates: CANDIDATES, pathOf: moduleOf, dataApi }),
        startCase({ id: "bundled", title: "bundled", candidates: CANDIDATES, pathOf: bundleOf, dataApi }),
        startCase({ id: "hosted", title, candidates: CANDIDATES, pathOf: transpiledOf, dataApi, runtime: hosted }),
        startCase({
          id: "verified",
          title: `${title}, a user`,
          candidates: VERIFIED_CANDIDATES,
          pathOf: transpiledOf,
          dataApi,
          runtime: hosted,
          caller: await signedInUser(dataApi.url),
        }),
      ];
      const results = await measurePhases([{ cases, warmUps: 2 }], {
        options,
        onRounds,
        environment: here,
        metric: "totalMs",
        targets: TARGETS,
      });
      return { ...results, loaded };
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
