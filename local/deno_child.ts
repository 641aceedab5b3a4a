/**
 * A Deno program in a guarded process of its own, serving HTTP on a loopback
 * port that only we can use.
 *
 * @module
 */
import { hear, makeToken, runtimeEnvironment, TOKEN_VARIABLE } from "./control.ts";
import { StackFault } from "./fault.ts";
import { GuardedChild } from "./guard.ts";

/** What to run, and how. */
export interface DenoChildOptions {
  /** A name for messages. */
  readonly name: string;
  /** Path of the module. */
  readonly entrypoint: string;
  /** Flags of `deno run`: permissions and the like. */
  readonly flags: readonly string[];
  /** Its environment, beside what Deno itself needs. */
  readonly env: Readonly<Record<string, string>>;
  /** Its working folder. */
  readonly cwd: string;
  /** Gets each line it prints. */
  readonly onLine: (line: string, stream: "stdout" | "stderr") => void;
  /** How long it may take to be ready. Default: 60,000 ms. */
  readonly startTimeoutMs?: number;
}

const LAST_LINES = 8;

/** A child that serves. */
export class DenoChild {
  readonly #child: GuardedChild;
  /** The port it serves on. */
  readonly port: number;
  /** What each request must carry in `x-stack-token`. */
  readonly token: string;
  /** Resolves when it has ended, with the last lines it printed on stderr. */
  readonly ended: Promise<string>;

  private constructor(child: GuardedChild, port: number, token: string, ended: Promise<string>) {
    this.#child = child;
    this.port = port;
    this.token = token;
    this.ended = ended;
  }

  /**
   * Starts the program and waits until it serves.
   *
   * @throws {StackFault} `SERVICE_FAILED` with what it said, if it ends or fails before that.
   */
  static async start(options: DenoChildOptions): Promise<DenoChild> {
    const { name, entrypoint, flags, env, cwd, onLine, startTimeoutMs = 60_000 } = options;
    const token = makeToken();
    const said: string[] = [];
    const serving = Promise.withResolvers<{ port: number } | { error: string }>();
    const child = new GuardedChild({
      command: [Deno.execPath(), "run", "--no-prompt", "--quiet", ...flags, entrypoint],
      // What it says goes into logs and answers, where colours are noise.
      env: { ...runtimeEnvironment(), NO_COLOR: "1", ...env, [TOKEN_VARIABLE]: token },
      cwd,
      onLine: (line, stream) => {
        const message = stream === "stdout" ? hear(token, line) : undefined;
        if (message) return serving.resolve(message);
        if (stream === "stderr" && line.trim() !== "" && said.push(line) > LAST_LINES) said.shift();
        if (line !== "") onLine(line, stream);
      },
    });
    const ended = child.heard.then(() => said.join("\n"));
    ended.then((lines) => serving.resolve({ error: lines || "it ended without a word" }));
    const timer = setTimeout(
      () => serving.resolve({ error: `it was not ready within ${startTimeoutMs} ms` }),
      startTimeoutMs,
    );
    const outcome = await serving.promise;
    clearTimeout(timer);
    if ("port" in outcome) return new DenoChild(child, outcome.port, token, ended);
    await child.stop();
    throw new StackFault("SERVICE_FAILED", `${name} did not start: ${outcome.error}`);
  }

  /** Whether it has not ended yet. */
  get running(): boolean {
    return this.#child.running;
  }

  /** Ends it and waits until it has ended. */
  async stop(): Promise<void> {
    await this.#child.stop();
  }

  /** Cuts it off at once, as a crash would. */
  kill(): void {
    this.#child.signal("KILL");
  }
}
