/**
 * One function as the stack sees it: a process that is started, started again
 * after a crash, and replaced when its sources change.
 *
 * A process and not a worker: a worker that never yields cannot be stopped
 * (`terminate()` leaves its thread spinning), workers share one environment,
 * and a worker that runs out of memory takes everything with it.
 *
 * @module
 */
import { TOKEN_HEADER } from "../control.ts";
import { DenoChild } from "../deno_child.ts";
import { messageOf } from "../fault.ts";
import { fromFileUrl, toFileUrl } from "../paths.ts";
import { LOOPBACK } from "../ports.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { COMMAND_HEADER, ENTRYPOINT_VARIABLE, RETIRE, VISIBLE_VARIABLE } from "./protocol.ts";

/** How to run a function. */
export interface IsolateOptions {
  /** The project. */
  readonly project: Project;
  /** The function. */
  readonly config: FunctionConfig;
  /** What it sees of an environment, asked for at each start. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
  /** Gets what it prints, and word of its crashes. */
  readonly log: (line: string) => void;
}

/** Why a function cannot answer. */
export class FunctionUnavailableError extends Error {
  override name = "FunctionUnavailableError";

  /** @param code Whether it could not be loaded, or crashed again and again. */
  constructor(readonly code: "FUNCTION_LOAD_FAILED" | "FUNCTION_CRASHED" | "STACK_STOPPING", message: string) {
    super(message);
  }
}

/** A process of a function, and who waits for an answer of it. */
export interface RunningFunction {
  /** The process. */
  readonly child: DenoChild;
  /** Answers under way. */
  inFlight: number;
}

const DRAIN_MS = 5_000;
const DRAIN_POLL_MS = 20;
const RETIRE_MS = 4_000;
const CRASHES = 3;
const CRASHES_WITHIN_MS = 10_000;

/** One function. */
export class FunctionIsolate {
  readonly #options: IsolateOptions;
  #current: RunningFunction | undefined;
  #starting: Promise<RunningFunction> | undefined;
  #unavailable: FunctionUnavailableError | undefined;
  #crashes: number[] = [];
  #reloads: Promise<void> = Promise.resolve();
  readonly #retiring = new Set<Promise<void>>();
  #closed = false;

  /** Starts nothing yet. */
  constructor(options: IsolateOptions) {
    this.#options = options;
  }

  /** The function's name. */
  get name(): string {
    return this.#options.config.name;
  }

  /**
   * The process to send a request to, started if there is none.
   *
   * @throws {FunctionUnavailableError}
   */
  async acquire(): Promise<RunningFunction> {
    if (this.#current?.child.running) return this.#current;
    if (this.#closed) throw new FunctionUnavailableError("STACK_STOPPING", "The stack is stopping.");
    if (this.#unavailable) throw this.#unavailable;
    return await (this.#starting ??= this.#start());
  }

  /**
   * Loads the sources anew. The old process answers until the new one is
   * ready, and what it has begun it finishes (at most 5 s).
   *
   * @throws {FunctionUnavailableError} if they cannot be loaded; until the next reload the function answers 503.
   */
  reload(): Promise<void> {
    const reload = this.#reloads.then(async () => {
      await this.#starting?.catch(() => {});
      if (this.#closed) return;
      const old = this.#current;
      this.#crashes = [];
      this.#unavailable = undefined;
      try {
        await (this.#starting = this.#start());
      } finally {
        if (old) {
          if (this.#current === old) this.#current = undefined;
          this.#retire(old);
        }
      }
    });
    this.#reloads = reload.catch(() => {});
    return reload;
  }

  /** Takes it down in order. */
  async stop(): Promise<void> {
    this.#closed = true;
    await this.#starting?.catch(() => {});
    if (this.#current) this.#retire(this.#current);
    this.#current = undefined;
    await Promise.all(this.#retiring);
  }

  async #start(): Promise<RunningFunction> {
    const { config, project, log } = this.#options;
    try {
      const env = await this.#options.env();
      const child = await DenoChild.start({
        name: config.name,
        entrypoint: fromFileUrl(new URL("./bootstrap.ts", import.meta.url)),
        // As the hosted runtime has it: no processes, no native code, no writing but to /tmp.
        flags: [
          "--allow-net",
          "--allow-read",
          "--allow-env",
          "--allow-sys",
          "--allow-import",
          "--allow-write=/tmp",
          "--no-check",
          // A signal that aborts only when the caller has gone.
          "--unstable-no-legacy-abort",
          ...(project.denoConfig ? [`--config=${project.denoConfig}`] : []),
          ...(config.importMap ? [`--import-map=${config.importMap}`] : []),
        ],
        env: {
          ...env,
          SB_EXECUTION_ID: crypto.randomUUID(),
          [ENTRYPOINT_VARIABLE]: toFileUrl(config.entrypoint),
          [VISIBLE_VARIABLE]: Object.keys(env).join(","),
        },
        cwd: project.root,
        onLine: log,
      });
      const running: RunningFunction = { child, inFlight: 0 };
      this.#current = running;
      child.ended.then((reason) => this.#onEnd(running, reason));
      return running;
    } catch (error) {
      this.#unavailable = new FunctionUnavailableError("FUNCTION_LOAD_FAILED", messageOf(error));
      throw this.#unavailable;
    } finally {
      this.#starting = undefined;
    }
  }

  #onEnd(running: RunningFunction, reason: string): void {
    // One that was retired was meant to end.
    if (this.#current !== running || this.#closed) return;
    this.#current = undefined;
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((at) => now - at < CRASHES_WITHIN_MS), now];
    const detail = reason === "" ? "It ended without a word." : reason;
    if (this.#crashes.length >= CRASHES) {
      this.#unavailable = new FunctionUnavailableError("FUNCTION_CRASHED", detail);
      this.#options.log(
        `crashed ${CRASHES} times within ${CRASHES_WITHIN_MS / 1000} s: change its sources to load it again`,
      );
    } else {
      this.#options.log("crashed; the next request starts it again");
    }
  }

  #retire(running: RunningFunction): void {
    const retiring = this.#drain(running).finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  async #drain(running: RunningFunction): Promise<void> {
    const { child } = running;
    const deadline = Date.now() + DRAIN_MS;
    while (running.inFlight > 0 && child.running && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    if (child.running) {
      await fetch(`http://${LOOPBACK}:${child.port}/`, {
        headers: { [TOKEN_HEADER]: child.token, [COMMAND_HEADER]: RETIRE },
        signal: AbortSignal.timeout(RETIRE_MS),
      }).then((response) => response.body?.cancel(), () => {});
    }
    await child.stop();
  }
}
