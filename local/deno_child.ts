/**
 * A Deno program in a supervised process that serves HTTP on a loopback port,
 * for this process only.
 *
 * @module
 */
import { createToken, parseMessage, runtimeEnvironment, TOKEN_VARIABLE } from "./control.ts";
import { StackError } from "./stack_error.ts";
import { Latch } from "./latch.ts";
import { toFileUrl } from "./paths.ts";
import { SupervisedChild } from "./supervised_child.ts";

/** Options for {@linkcode DenoChild.start}. */
export interface DenoChildOptions {
  /** The name for messages. */
  readonly name: string;
  /** Path of the module. */
  readonly entrypoint: string;
  /** Flags of `deno run`, such as permissions. */
  readonly flags: readonly string[];
  /** Its environment, beside the variables that Deno itself needs. */
  readonly env: Readonly<Record<string, string>>;
  /** Its working folder. */
  readonly cwd: string;
  /** Called with each line of its output. */
  readonly onLine: (line: string, stream: "stdout" | "stderr") => void;
  /** Maximum time until the process has started, in ms. Default: 60,000. */
  readonly startTimeoutMs?: number;
}

/** Number of lines of stderr that are kept to explain an exit. */
const LAST_LINES = 60;
/** Number of those that are shown. */
const SHOWN_LINES = 8;

/**
 * Returns the reason for an exit: an uncaught error with the place where it was thrown, a call of `Deno.exit`, or the
 * status. Lines that were printed earlier are not a reason.
 *
 * @param lines The last lines of stderr.
 * @param end Whether it had started (before that, Deno itself may have failed), the exit status (128 + n after signal n),
 *   and the argument of `Deno.exit` if it was called.
 */
export function exitReason(
  lines: readonly string[],
  { served, status, exitCode }: { served: boolean; status: number; exitCode?: number | undefined },
): string {
  if (exitCode !== undefined) {
    return `It called Deno.exit(${exitCode}): a function must return a response instead. On the hosted runtime, the call ` +
      "does nothing.";
  }
  if (lines.some((line) => /Fatal JavaScript out of memory/.test(line))) {
    return "It ran out of memory, at the limit of Deno itself, several GB: hosted functions have 256 MB. To stop it there, " +
      "run with --limits.";
  }
  // Deno prints an uncaught error as its last output.
  const pattern = served ? /^error: Uncaught|Fatal JavaScript invalid size/ : /^error: /;
  const at = lines.findLastIndex((line) => pattern.test(line));
  const error = lines.slice(at).filter((line) => !/^\s*(?:Stack backtrace:|\d+: <unknown>)/.test(line));
  if (at >= 0) return error.slice(0, SHOWN_LINES).join("\n").replace(/^error: (?:Uncaught )?/, "");
  if (status === 137) return "It was killed, perhaps because the machine ran out of memory.";
  return status > 128 ? `It was ended by signal ${status - 128}.` : `It exited with status ${status}.`;
}

/** A Deno program that serves. */
export class DenoChild {
  readonly #child: SupervisedChild;
  /** The port it serves on. */
  readonly port: number;
  /** The value of the header `x-stack-token` that each request must have. */
  readonly token: string;
  /** Its process id, if it has sent it. */
  readonly pid: number | undefined;
  /** Resolves with the reason in its own words when it has exited: see {@linkcode exitReason}. */
  readonly ended: Promise<string>;
  readonly #end = new Latch<string>();

  private constructor(
    child: SupervisedChild,
    { port, pid }: { port: number; pid?: number },
    token: string,
    ended: Promise<string>,
  ) {
    this.#child = child;
    this.port = port;
    this.pid = pid;
    this.token = token;
    this.ended = ended;
    ended.then((lines) => this.#end.open(lines));
  }

  /**
   * Starts the program and waits until it serves.
   *
   * @throws {StackError} `SERVICE_FAILED` with its output, if it exits or fails before that.
   */
  static async start(options: DenoChildOptions): Promise<DenoChild> {
    const { name, entrypoint, flags, env, cwd, onLine, startTimeoutMs = 60_000 } = options;
    const token = createToken();
    const lastLines: string[] = [];
    let exitCode: number | undefined;
    let served = false;
    const serving = Promise.withResolvers<{ port: number; pid?: number } | { error: string }>();
    const child = new SupervisedChild({
      command: [Deno.execPath(), "run", "--no-prompt", "--quiet", ...flags, toFileUrl(entrypoint)],
      // Its output goes to logs and responses, where colors are noise.
      env: { ...runtimeEnvironment(), NO_COLOR: "1", ...env, [TOKEN_VARIABLE]: token },
      cwd,
      onLine: (line, stream) => {
        const message = stream === "stdout" ? parseMessage(token, line) : undefined;
        if (message?.type === "exit") return void (exitCode = message.code);
        if (message) {
          served ||= message.type === "ready";
          return serving.resolve(message);
        }
        if (stream === "stderr" && line.trim() !== "" && lastLines.push(line) > LAST_LINES) lastLines.shift();
        if (line !== "") onLine(line, stream);
      },
    });
    const ended = child.outputEnded.then(async () =>
      exitReason(lastLines, { served, status: await child.exited, exitCode })
    );
    ended.then((error) => serving.resolve({ error }));
    const timer = setTimeout(
      () => serving.resolve({ error: `it was not ready within ${startTimeoutMs} ms` }),
      startTimeoutMs,
    );
    const outcome = await serving.promise;
    clearTimeout(timer);
    if ("port" in outcome) return new DenoChild(child, outcome, token, ended);
    await child.stop();
    throw new StackError("SERVICE_FAILED", `${name} did not start: ${outcome.error}`);
  }

  /** `true` until the process has exited. */
  get running(): boolean {
    return this.#child.running;
  }

  /** Waits for {@linkcode ended} for at most `ms`. Returns `undefined` if it has not exited by then. */
  async endedWithin(ms: number): Promise<string | undefined> {
    return await this.#end.race(new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ms)));
  }

  /** Stops it and waits until it has exited. */
  async stop(): Promise<void> {
    await this.#child.stop();
  }

  /** Kills it at once, as a crash would. */
  kill(): void {
    this.#child.signal("KILL");
  }
}
