/**
 * What the commands of all benchmarks do alike.
 *
 * @module
 */
import type { Verdict } from "./bars.ts";
import { canCollect } from "./heap.ts";
import { type Known, type Options, parseOptions, UsageError } from "./options.ts";

const RESULTS = new URL("../results/", import.meta.url);

/** A benchmark, as a command. */
export interface Bench<R extends { readonly bars: readonly Verdict[] }> extends Known {
  /** The name of the files it writes. */
  readonly name: string;
  /** What `--help` prints. */
  readonly help: string;
  /** Whether the collector must be in our hands (`--v8-flags=--expose-gc`). */
  readonly collects: boolean;
  /** Measures. `onRounds` is told how many rounds there will be, and gives what to call before each. */
  measure(options: Options, onRounds: (total: number) => () => void): Promise<R>;
  /** The results as text. */
  report(results: R): string;
  /** The results as an SVG document. */
  plot(results: R): string;
}

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

/** Where the results of a run go, if anywhere: a partial run must not replace a whole one's. */
function placeFor({ quick, only, out }: Options): ((name: string) => string | URL) | undefined {
  if (out !== undefined) return (name) => `${out}/${name}`;
  return quick || only.length > 0 ? undefined : (name) => new URL(name, RESULTS);
}

async function run<R extends { readonly bars: readonly Verdict[] }>(
  bench: Bench<R>,
  args: readonly string[],
): Promise<number> {
  const options = parseOptions(args, bench);
  if (options.help) {
    console.log(bench.help);
    return 0;
  }
  if (bench.collects && !canCollect()) {
    throw new UsageError("The collector cannot be called: run it with --v8-flags=--expose-gc.");
  }
  const results = await bench.measure(options, progress);
  console.log(bench.report(results));
  const place = placeFor(options);
  if (place) {
    await Deno.mkdir(place(""), { recursive: true });
    await Deno.writeTextFile(place(`${bench.name}.json`), `${JSON.stringify(results, undefined, 2)}\n`);
    await Deno.writeTextFile(place(`${bench.name}.svg`), bench.plot(results));
    console.log(`Written: ${bench.name}.json and ${bench.name}.svg in ${options.out ?? "bench/results"}`);
  }
  return options.strict && results.bars.some(({ holds }) => holds === false) ? 1 : 0;
}

/** Runs a benchmark as `args` say: measures, prints what was found, and writes it down. Sets the exit code. */
export async function runBench<R extends { readonly bars: readonly Verdict[] }>(
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
