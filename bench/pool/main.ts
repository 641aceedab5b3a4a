/**
 * `deno task bench:pool`: measures the pool core beside other pools and its
 * floor, prints what was found, and writes it down.
 *
 * How it is measured, on a machine that does other work meanwhile:
 *
 * - Everything runs in one process, in interleaved rounds: see `rounds.ts`.
 * - Each contender has its own copy of the loops that drive it, so that none is
 *   slowed down by code compiled for all: see `drive.ts`.
 * - Figures are medians; ratios are medians of the rounds' ratios.
 * - Bytes allocated by an operation are read off V8's heap before and after so
 *   few operations that no collection comes between: see `cases/memory.ts`.
 * - A tick is the time between two turns of the event loop, told by
 *   `setImmediate`: see `cases/expiry.ts`.
 *
 * Profiles: `deno run -A --cpu-prof --v8-flags=--expose-gc bench/pool/main.ts --only one`.
 *
 * @module
 */
import { judge } from "../support/bars.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { Figures } from "../support/figures.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { BARS } from "./bars.ts";
import { allPhases, closeStands, type Metric, openStands } from "./cases/mod.ts";
import { HELP, KNOWN } from "./options.ts";
import { plot } from "./plot.ts";
import { report } from "./report.ts";

const bench: Bench<Results<Metric>> = {
  ...KNOWN,
  name: "pool",
  help: HELP,
  collects: true,
  async measure({ quick, rounds, only }, onRounds) {
    const here = environment(["generic-pool", "lightning-pool", "tarn", "p-limit"]);
    const stands = await openStands();
    try {
      const phases = allPhases(stands, !quick).map(({ cases, warmUps, share }) => ({
        cases: cases.filter(({ id }) => only.length === 0 || only.includes(id)),
        warmUps,
        rounds: Math.ceil(rounds * share),
      })).filter(({ cases }) => cases.length > 0);
      const onRound = onRounds(phases.reduce((sum, phase) => sum + phase.warmUps + phase.rounds, 0));
      const samples = new Samples();
      for (const phase of phases) await runRounds(phase.cases, samples, { ...phase, onRound });
      const figures = new Figures<Metric>(phases.flatMap(({ cases }) => cases), samples, "ns");
      // What is kept in the heap is around zero: a ratio of it says nothing.
      return gather(figures, judge(figures, BARS), { environment: here, rounds, quick }, ["retainedBytes"]);
    } finally {
      await closeStands(stands);
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
