/**
 * A Deno program in a supervised process that serves HTTP on a loopback port,
 * for this process only.
 *
 * @module
 */
import { createToken, parseMessage, runtimeEnvironment, TOKEN_VARIABLE } from "./control.ts";
import { StackError } from "./stack_error.ts";
import { Latch } from "./latch.ts";
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

/** Number of lines of stderr that explain an exit. */
const LAST_LINES = 8;

/** A Deno program that serves. */
export class DenoChild {
  readonly #child: SupervisedChild;
  /** The port it serves on. */
  readonly port: number;
  /** The value of the header `x-stack-token` that each request must have. */
  readonly token: string;
  /** Resolves with the last lines of its stderr when it has exited. */
  readonly ended: Promise<string>;
  readonly #end = new Latch<string>();

  private constructor(child: SupervisedChild, port: number, token: string, ended: Promise<string>) {
    this.#child = child;
    this.port = port;
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
    const serving = Promise.withResolvers<{ port: number } | { error: string }>();
    const child = new SupervisedChild({
      command: [Deno.execPath(), "run", "--no-prompt", "--quiet", ...flags, entrypoint],
      // Its output goes to logs and responses, where colors are noise.
      env: { ...runtimeEnvironment(), NO_COLOR: "1", ...env, [TOKEN_VARIABLE]: token },
      cwd,
      onLine: (line, stream) => {
        const message = stream === "stdout" ? parseMessage(token, line) : undefined;
        if (message) return serving.resolve(message);
        if (stream === "stderr" && line.trim() !== "" && lastLines.push(line) > LAST_LINES) lastLines.shift();
        if (line !== "") onLine(line, stream);
      },
    });
    const ended = child.outputEnded.then(() => lastLines.join("\n"));
    ended.then((lines) => serving.resolve({ error: lines || "it exited without output" }));
    const timer = setTimeout(
      () => serving.resolve({ error: `it was not ready within ${startTimeoutMs} ms` }),
      startTimeoutMs,
    );
    const outcome = await serving.promise;
    clearTimeout(timer);
    if ("port" in outcome) return new DenoChild(child, outcome.port, token, ended);
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
