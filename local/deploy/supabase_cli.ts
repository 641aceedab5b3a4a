/**
 * The official Supabase CLI, from npm.
 *
 * @module
 */
import { descendantsOf, processInfo } from "../processes.ts";
import { StackError } from "../stack_error.ts";

/** The package and its version. */
export const SUPABASE_CLI = "supabase@3.1.0";

const POLL_MS = 50;
/** The signals that end the CLI, each with the time to exit after it, in ms. */
const END_STEPS: readonly [signal: Deno.Signal, graceMs: number][] = [["SIGTERM", 3_000], ["SIGKILL", 1_000]];
/** Time for the CLI to exit by itself after Ctrl-C, which the terminal sends to it as well, in ms. */
const INTERRUPT_GRACE_MS = 1_000;

/** The processes that `pid` has started, and those that these have started. */
class ProcessTree {
  readonly #root: number;
  // One whose parent has exited gets another parent: those that were found are kept.
  readonly #found = new Set<number>();

  constructor(root: number) {
    this.#root = root;
    this.#found.add(root);
  }

  async #running(): Promise<number[]> {
    for (const pid of await descendantsOf(this.#root)) this.#found.add(pid);
    const infos = await Promise.all([...this.#found].map(async (pid) => ({ pid, info: await processInfo(pid) })));
    return infos.filter(({ info }) => info !== undefined).map(({ pid }) => pid);
  }

  /** Returns whether all of them have exited, for which it waits for at most `graceMs`. */
  async exited(graceMs: number): Promise<boolean> {
    const deadline = performance.now() + graceMs;
    while ((await this.#running()).length > 0) {
      if (performance.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  async signal(signal: Deno.Signal): Promise<void> {
    for (const pid of await this.#running()) {
      try {
        Deno.kill(pid, signal);
      } catch {
        // It has exited.
      }
    }
  }
}

/**
 * Ends the CLI. `npx` runs it through three more processes, which do not forward signals; prompts need the terminal of
 * this process, so that they cannot have a process group of their own.
 */
async function endTree(pid: number, reason: unknown): Promise<void> {
  const tree = new ProcessTree(pid);
  if (reason === "SIGINT" && await tree.exited(INTERRUPT_GRACE_MS)) return;
  for (const [signal, graceMs] of END_STEPS) {
    await tree.signal(signal);
    if (await tree.exited(graceMs)) return;
  }
}

/**
 * Runs the CLI in this terminal and waits for it. It is run by `npx` and not
 * imported by `npm:`, so that its hundred megabytes are downloaded only to deploy.
 *
 * @param interruption Ends the CLI; its reason is the name of the signal that this process has received.
 * @returns The exit status of the CLI.
 * @throws {StackError} `TOOL_MISSING` if `npx` is not installed.
 */
export async function runSupabase(args: readonly string[], interruption: AbortSignal): Promise<number> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("npx", { args: ["-y", SUPABASE_CLI, ...args] }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new StackError(
      "TOOL_MISSING",
      "npx was not found: install Node.js with npm (https://nodejs.org), then try again.",
      { cause: error },
    );
  }
  let ending: Promise<void> | undefined;
  const end = () => void (ending ??= endTree(child.pid, interruption.reason));
  interruption.addEventListener("abort", end);
  if (interruption.aborted) end();
  const { code } = await child.status;
  interruption.removeEventListener("abort", end);
  await ending;
  return code;
}
