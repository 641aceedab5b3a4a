/**
 * Runs benchmarks one after the other, each in a process of its own.
 *
 * @module
 */

/** A benchmark to run. */
export interface Script {
  /** Its name, without `bench:`. */
  readonly name: string;
  /** The module. */
  readonly url: URL;
  /** Its arguments. */
  readonly args: readonly string[];
}

/** Options of {@linkcode runScripts}. */
export interface RunOptions {
  /** Aborted to stop the run: the current benchmark is ended. */
  readonly signal: AbortSignal;
  /** The folder for temporary files of the benchmarks. */
  readonly temporary: string;
  /** Prints a line. */
  readonly log: (line: string) => void;
  /** Time to end after `SIGTERM`, in ms. Default: 10 s. */
  readonly graceMs?: number;
}

/** The last lines of the output of a failed benchmark that are printed. */
const LAST_LINES = 20;

const FLAGS = ["run", "-A", "--no-check", "--quiet", "--v8-flags=--expose-gc"];

/** Ends a process: `SIGTERM`, and `SIGKILL` after the grace period. */
async function end(child: Deno.ChildProcess, graceMs: number): Promise<void> {
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has exited.
    }
  };
  kill("SIGTERM");
  const timer = setTimeout(() => kill("SIGKILL"), graceMs);
  await child.status;
  clearTimeout(timer);
}

/** Runs a benchmark. Resolves to its output if it fails, otherwise to `undefined`. */
async function runOne({ url, args }: Script, options: RunOptions): Promise<string | undefined> {
  const { signal, temporary, graceMs = 10_000 } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: [...FLAGS, url.pathname, ...args],
    env: { TMPDIR: temporary },
    stdin: "null",
    stdout: "piped",
    stderr: Deno.stderr.isTerminal() ? "inherit" : "piped",
  }).spawn();
  const stop = () => void end(child, graceMs);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const { success, stdout, ...piped } = await child.output();
  signal.removeEventListener("abort", stop);
  if (success) return undefined;
  const decoder = new TextDecoder();
  const errors = Deno.stderr.isTerminal() ? "" : decoder.decode(piped.stderr);
  return `${decoder.decode(stdout)}${errors}`;
}

/** Formats a duration: `1 min 20 s`. */
export function shownDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * Runs the benchmarks. One that fails does not keep the next from running.
 *
 * @returns The names of those that failed.
 * @throws The reason of the signal when it is aborted.
 */
export async function runScripts(scripts: readonly Script[], options: RunOptions): Promise<string[]> {
  const { signal, log } = options;
  const failed: string[] = [];
  const startedAt = performance.now();
  for (const [index, script] of scripts.entries()) {
    const name = `bench:${script.name}`;
    log(`[${index + 1}/${scripts.length}] ${name} (${shownDuration(performance.now() - startedAt)} so far)`);
    const start = performance.now();
    const output = await runOne(script, options);
    signal.throwIfAborted();
    const took = shownDuration(performance.now() - start);
    if (output === undefined) {
      log(`      ${name} took ${took}`);
      continue;
    }
    failed.push(script.name);
    for (const line of output.trimEnd().split("\n").slice(-LAST_LINES)) log(`      ${line}`);
    log(`      ${name} FAILED after ${took}`);
  }
  return failed;
}
