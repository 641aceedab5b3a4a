/**
 * The command line program of a benchmark.
 *
 * @module
 */
import type { TargetResult } from "./targets.ts";
import { canCollect } from "./heap.ts";
import { type Known, type Options, parseOptions, UsageError } from "./options.ts";

const RESULTS = new URL("../results/", import.meta.url);

/** A benchmark that runs as a command. */
export interface Bench<R extends { readonly targets: readonly TargetResult[] }> extends Known {
  /** The name of the files it writes. */
  readonly name: string;
  /** The text of `--help`. */
  readonly help: string;
  /** True if it calls the garbage collector, which needs `--v8-flags=--expose-gc`. */
  readonly collects: boolean;
  /** Measures. `onRounds` takes the number of rounds and returns a function to call before each. */
  measure(options: Options, onRounds: (total: number) => () => void): Promise<R>;
  /** Returns the results as text. */
  report(results: R): string;
  /** Returns the results as an SVG document. */
  plot(results: R): string;
}

/** Shows the number of the round on standard error, if that is a terminal. */
function progress(total: number): () => void {
  let round = 0;
  const encoder = new TextEncoder();
  return () => {
    round++;
    if (!Deno.stderr.isTerminal()) return;
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[Kround ${round} of ${total}${round === total ? "\n" : ""}`));
  };
}

/** Returns the paths to write to. A partial run must not replace the results of a whole one. */
function outputPath({ quick, only, out }: Options): ((name: string) => string | URL) | undefined {
  if (out !== undefined) return (name) => `${out}/${name}`;
  return quick || only.length > 0 ? undefined : (name) => new URL(name, RESULTS);
}

async function run<R extends { readonly targets: readonly TargetResult[] }>(
  bench: Bench<R>,
  args: readonly string[],
): Promise<number> {
  const options = parseOptions(args, bench);
  if (options.help) {
    console.log(bench.help);
    return 0;
  }
  if (bench.collects && !canCollect()) {
    throw new UsageError("Cannot call the garbage collector: run with --v8-flags=--expose-gc.");
  }
  const results = await bench.measure(options, progress);
  console.log(bench.report(results));
  const pathOf = outputPath(options);
  if (pathOf) {
    await Deno.mkdir(pathOf(""), { recursive: true });
    await Deno.writeTextFile(pathOf(`${bench.name}.json`), `${JSON.stringify(results, undefined, 2)}\n`);
    await Deno.writeTextFile(pathOf(`${bench.name}.svg`), bench.plot(results));
    console.log(`Written: ${bench.name}.json and ${bench.name}.svg in ${options.out ?? "bench/results"}`);
  }
  return options.strict && results.targets.some(({ met }) => met === false) ? 1 : 0;
}

/** Runs a benchmark with the arguments `args`: measures, prints a report and writes the results. Sets the exit code. */
export async function runBench<R extends { readonly targets: readonly TargetResult[] }>(
  bench: Bench<R>,
  args: readonly string[],
): Promise<void> {
  try {
    Deno.exitCode = await run(bench, args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
