/**
 * Runs the command line of the local stack in tests.
 *
 * @module
 */
import { fromFileUrl } from "../../local/paths.ts";
import { commandOf } from "../../local/processes.ts";
import { eventually } from "./fixture.ts";

const DEV = fromFileUrl(new URL("../../local/dev.ts", import.meta.url));

/** A run of `deno task dev`. */
export class Run implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Its exit status. */
  readonly status: Promise<Deno.CommandStatus>;
  /** Its output so far. */
  output = "";

  /**
   * Starts it, on free ports by default.
   *
   * @param wrap Returns the command that runs the given command.
   */
  constructor(root: string, args: string[], wrap: (command: string[]) => string[] = (command) => command) {
    const ports = args.includes("--port") ? [] : ["--port", "0", "--db-port", "0"];
    const command = wrap([Deno.execPath(), "run", "-A", "--no-check", DEV, "--project", root, ...ports, ...args]);
    this.#child = new Deno.Command(command[0] ?? "", {
      args: command.slice(1),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    this.status = this.#child.status;
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.pipeThrough(new TextDecoderStream()).pipeTo(
        new WritableStream({ write: (text) => void (this.output += text) }),
      );
    }
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for the banner and returns the URL of the gateway. */
  async ready(): Promise<string> {
    const pattern = /Gateway\s+(http:\S+)[^]*\/health\/pool\n/;
    await Promise.race([
      eventually(() => pattern.test(this.output), "the banner", 120_000),
      this.status.then(() => {
        throw new Error(`Ended before it was ready: ${this.output}`);
      }),
    ]);
    return pattern.exec(this.output)?.[1] ?? "";
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Returns the ids of all descendants. */
  async descendants(): Promise<number[]> {
    const { stdout } = await new Deno.Command("ps", { args: ["-e", "-o", "pid=,ppid="] }).output();
    const rows = new TextDecoder().decode(stdout).trim().split("\n").map((line) =>
      line.trim().split(/\s+/).map(Number)
    );
    const found = [this.pid];
    for (const parent of found) {
      for (const [pid, ppid] of rows) if (ppid === parent && pid !== undefined) found.push(pid);
    }
    return found.slice(1);
  }

  /** Kills it, if it is running. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has exited.
    }
    await this.status;
  }
}

/** Waits until all of `pids` have exited. */
export function untilExited(pids: number[]): Promise<void> {
  return eventually(
    async () => (await Promise.all(pids.map(commandOf))).every((command) => command === undefined),
    `the end of ${pids.join(", ")}`,
    60_000,
  );
}
