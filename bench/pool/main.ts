/**
 * `deno task bench:pool`: compares the pool core with other pools and with the
 * minimum cost of a pool, prints a report and writes the results.
 *
 * - Everything runs in one process, in interleaved rounds: see `rounds.ts`.
 * - Each candidate has its own copy of the loops, so that none is slowed down by
 *   code compiled for all: see `loops.ts`.
 * - Values are medians; ratios are medians of the rounds' ratios.
 * - Bytes per operation are the difference of the heap size around a number of
 *   operations too small for a collection: see `cases/memory.ts`.
 * - A tick is the time between two turns of the event loop, measured with
 *   `setImmediate`: see `cases/expiry.ts`.
 *
 * Profiles: `deno run -A --cpu-prof --v8-flags=--expose-gc bench/pool/main.ts --only one`.
 *
 * @module
 */
import { checkTargets } from "../support/targets.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { MeasuredMetrics } from "../support/metrics.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { TARGETS } from "./targets.ts";
import { allPhases, closeSetups, type Metric, openSetups } from "./cases/mod.ts";
import { HELP, KNOWN } from "./options.ts";
import { plot, report } from "./report.ts";

const bench: Bench<Results<Metric>> = {
  ...KNOWN,
  name: "pool",
  help: HELP,
  collects: true,
  async measure({ quick, rounds, only }, onRounds) {
    const here = environment(["generic-pool", "lightning-pool", "tarn", "p-limit"]);
    const setups = await openSetups();
    try {
      const phases = allPhases(setups, !quick).map(({ cases, warmUps, share }) => ({
        cases: cases.filter(({ id }) => only.length === 0 || only.includes(id)),
        warmUps,
        rounds: Math.ceil(rounds * share),
      })).filter(({ cases }) => cases.length > 0);
      const onRound = onRounds(phases.reduce((sum, phase) => sum + phase.warmUps + phase.rounds, 0));
      const samples = new Samples();
      for (const phase of phases) await runRounds(phase.cases, samples, { ...phase, onRound });
      const measured = new MeasuredMetrics<Metric>(phases.flatMap(({ cases }) => cases), samples, "ns");
      // The retained bytes are around zero and have no meaningful ratio.
      return gather(measured, checkTargets(measured, TARGETS), { environment: here, rounds, quick }, ["retainedBytes"]);
    } finally {
      await closeSetups(setups);
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
