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
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import type { Results } from "../support/results.ts";
import { TARGETS } from "./targets.ts";
import { allPhases, closeSetups, type Metric, openSetups } from "./cases/mod.ts";
import { HELP, KNOWN } from "./options.ts";
import { plot, report } from "./report.ts";

const bench: Bench<Results<Metric>> = {
  ...KNOWN,
  name: "pool",
  help: HELP,
  collects: true,
  async measure(options, onRounds) {
    const here = environment(["generic-pool", "lightning-pool", "tarn", "p-limit"]);
    const setups = await openSetups();
    try {
      return await measurePhases(allPhases(setups, !options.quick), {
        options,
        onRounds,
        environment: here,
        metric: "ns",
        targets: TARGETS,
        unrelated: ["retainedBytes"],
      });
    } finally {
      await closeSetups(setups);
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
