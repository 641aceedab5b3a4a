/**
 * `deno task soak`: mixed load with faults on the local stack, to see that
 * nothing grows.
 *
 * @module
 */
import { canCollect } from "../support/heap.ts";
import { parseFlags, UsageError } from "../support/options.ts";
import { csvOfSoak, growthReasons, plotSoak, reportSoak } from "./plot.ts";
import { soak } from "./soak.ts";

const HELP = `Usage: deno task soak [options]

Starts the local stack and sends it mixed load: selects, writes and transactions
through both pools, and requests to the functions, some of which are aborted.
Meanwhile connections of the database are killed, the Data API becomes slow and is
killed, it stalls and its responses break, the database crashes, and functions reload.

The live heap, sockets, file descriptors and connections of Postgres must stay flat.
After a warm-up of a fifth, a series grows when the median of its last third exceeds
that of its first third by more than an allowance, and the Mann-Kendall test finds
that it rises. Then the exit status is 1, and the reason is printed. Linux only.

  --minutes <n>    The length of the load (default 30)
  --callers <n>    The callers of each of the eight kinds of work (default 4)
  --out <folder>   The folder for soak.json, soak.svg and soak.csv (default bench/results
                   for 30 minutes or more, none otherwise)
  --help           Print this
`;

const RESULTS = new URL("../results/", import.meta.url).pathname;

/** The shortest soak whose results are stored by default, in minutes. */
const STORED_MINUTES = 30;

function parsePositive(flag: string, text: string): number {
  const value = /^\d{1,4}(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value > 0) return value;
  throw new UsageError(`${flag} must be a number above 0, not ${JSON.stringify(text)}`);
}

async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, {
    minutes: { type: "string", default: "30" },
    callers: { type: "string", default: "4" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  });
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const minutes = parsePositive("--minutes", flags.minutes);
  const callers = Math.ceil(parsePositive("--callers", flags.callers));
  if (Deno.build.os !== "linux") throw new UsageError("Cannot read /proc: the soak runs on Linux only");
  if (!canCollect()) throw new UsageError("Cannot call the garbage collector: run with --v8-flags=--expose-gc");
  const out = flags.out ?? (minutes >= STORED_MINUTES ? RESULTS : undefined);
  const controller = new AbortController();
  const interrupt = () => controller.abort(new Error("The soak was interrupted"));
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    const results = await soak({
      durationMs: minutes * 60_000,
      callers,
      signal: controller.signal,
      log: (line) => console.error(line),
    });
    console.log(`\n${reportSoak(results)}`);
    if (out !== undefined) {
      await Deno.mkdir(out, { recursive: true });
      await Deno.writeTextFile(`${out}/soak.json`, `${JSON.stringify(results)}\n`);
      await Deno.writeTextFile(`${out}/soak.svg`, plotSoak(results));
      await Deno.writeTextFile(`${out}/soak.csv`, csvOfSoak(results));
      console.log(`\nWritten: soak.json, soak.svg and soak.csv in ${out}`);
    }
    const reasons = growthReasons(results);
    for (const reason of reasons) console.error(reason);
    return reasons.length > 0 ? 1 : 0;
  } catch (error) {
    if (controller.signal.aborted) {
      console.error("Interrupted: no result was written");
      return 130;
    }
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
