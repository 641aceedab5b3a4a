/**
 * `deno task bench:compare`: before and after. 100 concurrent requests to the
 * local stack, with a client made for each request, and with pooled ones.
 *
 * The stack is started for it, on free ports, and goes with it. Each way runs
 * in a process of its own that lives as long as the benchmark; in a round each
 * sends one burst, in an order drawn anew: 100 callers, each with so many
 * requests one after the other. A mean of a round's answers is a mean; figures
 * over rounds are medians.
 *
 * @module
 */
import type { Case } from "../support/case.ts";
import { type Child, startChild } from "../support/child.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { Figures } from "../support/figures.ts";
import { gather } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { CONCURRENT } from "./burst.ts";
import type { Burst, HeapSample, Metric } from "./metrics.ts";
import { type CompareResults, plot, report } from "./report.ts";
import { openStage, type Stage } from "./target.ts";
import { type Way, WAYS } from "./ways.ts";

const HELP = `Usage: deno task bench:compare [options]

Starts the local stack and sends it ${CONCURRENT} concurrent requests, with a client
made for each request and with pooled ones, in interleaved rounds.

  --quick          Fewer rounds
  --rounds <n>     How many rounds are counted (default 21, quick 5)
  --out <folder>   Where compare.json and compare.svg go (default bench/results
                   for a whole run; a quick one writes none)
  --help           Print this
`;

const REQUESTS = 5;
const WARM_UPS = 2;

/** Keeps the heap of a process as one line, burst after burst. */
class HeapLine {
  readonly samples: HeapSample[] = [];

  append(heap: readonly HeapSample[]): void {
    const from = this.samples.at(-1)?.[0] ?? 0;
    for (const [atMs, mb] of heap) this.samples.push([Math.round(from + atMs), Math.round(mb * 100) / 100]);
  }
}

function burstCase(stage: Stage, workers: readonly { way: Way; child: Child; heap: HeapLine }[]): Case<Metric> {
  return {
    id: "burst",
    title: `${CONCURRENT} concurrent requests`,
    metrics: [
      "meanMs",
      "p50Ms",
      "p95Ms",
      "p99Ms",
      "requestsPerSecond",
      "sockets",
      "backends",
      "busyBackends",
      "heapMb",
    ],
    entrants: workers.map(({ way: { id, title }, child, heap }) => ({
      id,
      title,
      measure: async () => {
        const { result, peak } = await stage.watch(async (): Promise<Burst> => {
          await child.say(JSON.stringify({ requests: REQUESTS }));
          return JSON.parse(await child.line());
        });
        heap.append(result.heap);
        return { ...result.figures, ...peak };
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
  async measure({ quick, rounds }, onRounds) {
    const here = environment(["@supabase/supabase-js", "@supabase/lite"]);
    await using parts = new AsyncDisposableStack();
    const stage = parts.use(await openStage());
    const workers = WAYS.map((way) => {
      const child = parts.use(startChild(new URL("worker.ts", import.meta.url), ["-A"], [way.id]));
      return { way, child, heap: new HeapLine() };
    });
    for (const { child } of workers) await child.say(JSON.stringify(stage.target));
    const cases = [burstCase(stage, workers)];
    const samples = new Samples();
    await runRounds(cases, samples, { rounds, warmUps: WARM_UPS, onRound: onRounds(rounds + WARM_UPS) });
    const figures = new Figures<Metric>(cases, samples, "meanMs");
    return {
      ...gather(figures, [], { environment: here, rounds, quick }),
      heap: Object.fromEntries(workers.map(({ way, heap }) => [way.id, heap.samples])),
    };
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
