/**
 * `deno task bench:compare`: compares a client created for each request with
 * pooled clients, under 100 concurrent requests to the local stack; prints a
 * report and writes the results.
 *
 * It starts a stack on free ports. Each candidate runs in a process of its own
 * for the whole benchmark; a round sends one burst through each, in random
 * order: 100 callers, each with a few requests one after the other. `meanMs` is
 * the mean of a burst; values over rounds are medians.
 *
 * @module
 */
import type { Case } from "../support/case.ts";
import { type Child, startChild } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { CONCURRENT } from "./burst.ts";
import type { Burst, HeapSample, Metric } from "./metrics.ts";
import { type CompareResults, plot, report } from "./report.ts";
import { openStage, type Stage } from "./stage.ts";
import { CANDIDATES, type CompareCandidate } from "./candidates.ts";

const HELP = `Usage: deno task bench:compare [options]

Starts the local stack and sends it ${CONCURRENT} concurrent requests, with a client
created for each request and with pooled ones, in interleaved rounds.

  --quick          Fewer rounds
  --rounds <n>     The number of counted rounds (default 21, quick 5)
  --out <folder>   The folder for compare.json and compare.svg (default bench/results
                   for a whole run; none for a quick one)
  --help           Print this
`;

const REQUESTS = 5;
const WARM_UPS = 2;

/** The heap samples of a process over all bursts. */
class HeapLine {
  readonly samples: HeapSample[] = [];

  append(heap: readonly HeapSample[]): void {
    const from = this.samples.at(-1)?.[0] ?? 0;
    for (const [atMs, mb] of heap) this.samples.push([Math.round(from + atMs), Math.round(mb * 100) / 100]);
  }
}

function burstCase(
  stage: Stage,
  workers: readonly { candidate: CompareCandidate; child: Child; heap: HeapLine }[],
): Case<Metric> {
  return {
    id: "burst",
    title: `${CONCURRENT} concurrent requests`,
    metrics: [
      "meanMs",
      "p50Ms",
      "p95Ms",
      "p99Ms",
      "requestsPerSecond",
      "failedPercent",
      "sockets",
      "backends",
      "busyBackends",
      "heapMb",
    ],
    candidates: workers.map(({ candidate: { id, title }, child, heap }) => ({
      id,
      title,
      measure: async () => {
        const { result, peak } = await stage.watch(async (): Promise<Burst> => {
          await child.say(JSON.stringify({ requests: REQUESTS }));
          return JSON.parse(await child.line());
        });
        heap.append(result.heap);
        return { ...result.measured, ...peak };
      },
    })),
  };
}

const bench: Bench<CompareResults> = {
  name: "compare",
  help: HELP,
  caseIds: ["burst"],
  rounds: { full: 21, quick: 5 },
  collects: false,
  async measure(options, onRounds) {
    const load = environment(["@supabase/supabase-js", "@supabase/lite"]);
    await using resources = new AsyncDisposableStack();
    const stage = resources.use(await openStage());
    const here = { ...load, postgres: stage.postgres };
    const workers = CANDIDATES.map((candidate) => {
      const child = resources.use(startChild(new URL("worker.ts", import.meta.url), ["-A"], [candidate.id]));
      return { candidate, child, heap: new HeapLine() };
    });
    for (const { child } of workers) await child.say(JSON.stringify(stage.endpoint));
    const cases = [burstCase(stage, workers)];
    const results = await measurePhases([{ cases, warmUps: WARM_UPS }], {
      options,
      onRounds,
      environment: here,
      metric: "meanMs",
      targets: [],
    });
    return {
      ...results,
      heap: Object.fromEntries(workers.map(({ candidate, heap }) => [candidate.id, heap.samples])),
    };
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
