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
import { judge } from "./bars.ts";
import { allPhases, closeStands, openStands } from "./cases/mod.ts";
import { environment } from "./environment.ts";
import { Figures } from "./figures.ts";
import { canCollect } from "./heap.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { plot } from "./plot.ts";
import { report } from "./report.ts";
import { gather, type Results } from "./results.ts";
import { runRounds, Samples } from "./rounds.ts";

const RESULTS = new URL("../results/", import.meta.url);

/** Says on the terminal how far it is; nothing where there is no terminal. */
function progress(total: number): () => void {
  let round = 0;
  const encoder = new TextEncoder();
  return () => {
    round++;
    if (!Deno.stderr.isTerminal()) return;
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[Kround ${round} of ${total}${round === total ? "\n" : ""}`));
  };
}

async function measure({ quick, rounds, only }: Options): Promise<Results> {
  const here = environment();
  const stands = await openStands();
  try {
    const phases = allPhases(stands, !quick).map(({ cases, warmUps, share }) => ({
      cases: cases.filter(({ id }) => only.length === 0 || only.includes(id)),
      warmUps,
      rounds: Math.ceil(rounds * share),
    })).filter(({ cases }) => cases.length > 0);
    const onRound = progress(phases.reduce((sum, phase) => sum + phase.warmUps + phase.rounds, 0));
    const samples = new Samples();
    for (const phase of phases) await runRounds(phase.cases, samples, { ...phase, onRound });
    const figures = new Figures(phases.flatMap(({ cases }) => cases), samples);
    return gather(figures, judge(figures), { environment: here, rounds, quick });
  } finally {
    await closeStands(stands);
  }
}

/** Where the results of a run go, if anywhere: a partial run must not replace a whole one's. */
function placeFor({ quick, only, out }: Options): ((name: string) => string | URL) | undefined {
  if (out !== undefined) return (name) => `${out}/${name}`;
  return quick || only.length > 0 ? undefined : (name) => new URL(name, RESULTS);
}

async function write(results: Results, options: Options): Promise<void> {
  const place = placeFor(options);
  if (!place) return;
  await Deno.mkdir(place(""), { recursive: true });
  await Deno.writeTextFile(place("pool.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  await Deno.writeTextFile(place("pool.svg"), plot(results));
  console.log(`Written: pool.json and pool.svg in ${options.out ?? "bench/results"}`);
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (!canCollect()) throw new UsageError("The collector cannot be called: run it with --v8-flags=--expose-gc.");
  const results = await measure(options);
  console.log(report(results));
  await write(results, options);
  return options.strict && results.bars.some(({ holds }) => holds === false) ? 1 : 0;
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
