/**
 * `deno task bench`: runs every benchmark and writes one report.
 *
 * A run writes to a temporary folder and moves the results at its end, so that
 * one that is interrupted changes no file. `bench:regression` compares two
 * checkouts, and is not part of it.
 *
 * @module
 */
import { BENCHMARKS, readStored, renderReport, renderStoredReport, RESULTS } from "./report/mod.ts";
import { runScripts, type Script, shownDuration } from "./run.ts";
import { parseCases, parseFlags, UsageError } from "./support/options.ts";

const HELP = `Usage: deno task bench [options]

Runs every benchmark one after the other and writes one report: tables, ratios,
plots, the environment, and the specification's promises beside what was measured.

  --full           Measure figures to quote: all rounds, about 20 minutes. Writes bench/results/
                   and bench/report.md; docs/performance.md needs "deno task docs" afterwards
                   (default: few rounds, less than ten minutes, written to bench/quick/)
  --only <names>   Run only these, separated by commas: ${BENCHMARKS.join(", ")}
  --out <folder>   The folder for the results and report.md instead
  --report         Run nothing, and write bench/report.md from bench/results/
  --help           Print this

Run it on a machine that does nothing else. The exit status is 1 if a benchmark fails.
`;

/** The folder for the results of a quick run; not committed. */
const QUICK = new URL("quick/", import.meta.url);
const REPORT = new URL("report.md", import.meta.url);

/** The files that a run writes. */
interface Output {
  readonly results: URL;
  readonly report: URL;
  /** The prefix of the paths of plots in the report. */
  readonly plots: string;
}

function outputOf(full: boolean, out: string | undefined): Output {
  if (out !== undefined) {
    const folder = new URL(`${out.replace(/\/*$/, "/")}`, `file://${Deno.cwd()}/`);
    return { results: folder, report: new URL("report.md", folder), plots: "" };
  }
  return full
    ? { results: RESULTS, report: REPORT, plots: "results/" }
    : { results: QUICK, report: new URL("report.md", QUICK), plots: "" };
}

/** Removes a folder. Processes that were ended may still write to it for a moment. */
async function removeFolder(path: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Aborts when the process is asked to end. */
function interruption(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  const interrupt = () => controller.abort(new Error("The run was interrupted"));
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => signals.forEach((signal) => Deno.removeSignalListener(signal, interrupt)),
  };
}

/** Copies the files of a folder. */
async function copyFiles(from: string, to: URL): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, new URL(name, to));
  }
}

/**
 * Runs `scripts`, which write to the folder `results`, and moves what they wrote.
 *
 * @returns The names of the benchmarks that failed.
 */
export async function runAndStore(
  scriptsFor: (results: string) => readonly Script[],
  output: Output,
  { signal, command }: { readonly signal: AbortSignal; readonly command: string },
): Promise<string[]> {
  const temporary = await Deno.makeTempDir({ prefix: "bench-" });
  // The database of a benchmark runs as another user if root starts it.
  await Deno.chmod(temporary, 0o755);
  try {
    const results = `${temporary}/results`;
    await Deno.mkdir(results);
    const failed = await runScripts(scriptsFor(results), { signal, temporary, log: console.log });
    await copyFiles(results, output.results);
    await Deno.writeTextFile(
      output.report,
      renderReport(await readStored(output.results), { command, plots: output.plots }),
    );
    return failed;
  } finally {
    await removeFolder(temporary);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { full, only, out, report, help } = parseFlags(args, {
    full: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string" },
    report: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (report) {
    await Deno.writeTextFile(REPORT, await renderStoredReport());
    return 0;
  }
  const names = only === undefined ? BENCHMARKS : parseCases(only, BENCHMARKS);
  const output = outputOf(full, out);
  // The results of an earlier quick run would be mistaken for those of this one.
  if (!full && out === undefined) await removeFolder(output.results.pathname);
  using interrupted = interruption();
  const start = performance.now();
  try {
    const failed = await runAndStore(
      (results) =>
        names.map((name) => ({
          name,
          url: new URL(`${name}/main.ts`, import.meta.url),
          args: ["--out", results, ...full ? [] : ["--quick"]],
        })),
      output,
      { signal: interrupted.signal, command: `npx -y deno task bench${full ? " --full" : ""}` },
    );
    console.log(`\nReport: ${output.report.pathname} (${shownDuration(performance.now() - start)})`);
    if (failed.length > 0) console.error(`Failed: ${failed.map((name) => `bench:${name}`).join(", ")}`);
    return failed.length > 0 ? 1 : 0;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    console.error("Interrupted: no result was written");
    return 130;
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
