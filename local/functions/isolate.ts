/**
 * A function of the stack: a process that is started on demand, restarted after a
 * crash, and replaced when its sources change.
 *
 * It is a process and not a worker, because a worker that never yields cannot be
 * stopped (`terminate()` leaves its thread running), workers share one
 * environment, and a worker that runs out of memory ends the whole stack.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { TOKEN_HEADER } from "../control.ts";
import { DenoChild } from "../deno_child.ts";
import { fromFileUrl, toFileUrl } from "../paths.ts";
import { LOOPBACK } from "../ports.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { resolutionFlags } from "./import_map.ts";
import { typeImports } from "./type_imports.ts";
import { type Limits, watchLimits } from "./limits.ts";
import { COMMAND_HEADER, ENTRYPOINT_VARIABLE, RETIRE, SOCKET_VARIABLE, UNLOAD, VISIBLE_VARIABLE } from "./protocol.ts";
import type { UnloadReason } from "./runtime/globals.ts";

/** Options for {@linkcode FunctionIsolate}. */
export interface IsolateOptions {
  /** The project. */
  readonly project: Project;
  /** The function. */
  readonly config: FunctionConfig;
  /** Returns its environment; called at each start. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
  /** Called with each line of its output, and when it crashes. */
  readonly log: (line: string) => void;
  /** The limits of its process. Default: none. */
  readonly limits?: Limits | undefined;
}

/** A function that cannot serve requests. */
export class FunctionUnavailableError extends Error {
  override name = "FunctionUnavailableError";

  /** @param code The reason; `FUNCTION_CRASHED` after repeated crashes. */
  constructor(readonly code: "FUNCTION_LOAD_FAILED" | "FUNCTION_CRASHED" | "STACK_STOPPING", message: string) {
    super(message);
  }
}

/** A running process of a function. */
export interface RunningFunction {
  /** The process. */
  readonly child: DenoChild;
  /** The number of requests in flight. */
  inFlight: number;
  /** The time of its last request, as `performance.now()` gives it. */
  usedAt: number;
  /** The limit that it was stopped at, in words. */
  limit: string | undefined;
}

const START_MS = 120_000;
const DRAIN_MS = 5_000;
const DRAIN_POLL_MS = 20;
const RETIRE_MS = 4_000;
const UNLOAD_MS = 100;
const CRASHES = 3;
const CRASHES_WITHIN_MS = 10_000;

/** A function in a process of its own. */
export class FunctionIsolate {
  readonly #options: IsolateOptions;
  #config: FunctionConfig;
  #notedHtml = false;
  #current: RunningFunction | undefined;
  #starting: Promise<RunningFunction> | undefined;
  #unavailable: FunctionUnavailableError | undefined;
  #crashes: number[] = [];
  #reloads: Promise<void> = Promise.resolve();
  readonly #retiring = new Set<Promise<void>>();
  #closed = false;
  #version = 0;

  /** Creates the function; {@linkcode acquire} starts it. */
  constructor(options: IsolateOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** The name of the function. */
  get name(): string {
    return this.#config.name;
  }

  /** Its configuration. */
  get config(): FunctionConfig {
    return this.#config;
  }

  /** Sets its configuration, which the next start or {@linkcode reload} uses. */
  configure(config: FunctionConfig): void {
    this.#config = config;
  }

  /** Logs once that a page is sent as plain text. */
  noteHtml(): void {
    if (this.#notedHtml) return;
    this.#notedHtml = true;
    this.#options.log("text/html is sent as text/plain, as hosted projects without a custom domain do");
  }

  /** The limits of its process; `undefined`: none. */
  get limits(): Limits | undefined {
    return this.#options.limits;
  }

  /** The time of the last request, if the process runs and no request is in flight. */
  get idleSince(): number | undefined {
    const current = this.#current;
    return current?.child.running && current.inFlight === 0 ? current.usedAt : undefined;
  }

  /** Ends the process after its requests in flight. The next request starts another one. */
  rest(reason: UnloadReason = "early_drop", drainMs: number = DRAIN_MS): void {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    this.#retire(current, reason, drainMs);
  }

  /**
   * Returns the process to send a request to, and starts it if it is not running.
   *
   * @throws {FunctionUnavailableError}
   */
  async acquire(): Promise<RunningFunction> {
    if (this.#current?.child.running) {
      this.#current.usedAt = performance.now();
      return this.#current;
    }
    if (this.#closed) throw new FunctionUnavailableError("STACK_STOPPING", "The stack is stopping.");
    if (this.#unavailable) throw this.#unavailable;
    return await (this.#starting ??= this.#start());
  }

  /**
   * Reloads the sources. The old process serves requests until the new one is
   * ready, then finishes those in flight, for at most 5 s.
   *
   * @throws {FunctionUnavailableError} If they cannot be loaded; the function then responds 503 until the next reload.
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
          this.#retire(old, "termination");
        }
      }
    });
    this.#reloads = reload.catch(() => {});
    return reload;
  }

  /** Stops the function after its requests in flight. */
  async stop(): Promise<void> {
    this.#closed = true;
    await this.#starting?.catch(() => {});
    if (this.#current) this.#retire(this.#current, "termination");
    this.#current = undefined;
    await Promise.all(this.#retiring);
  }

  async #start(): Promise<RunningFunction> {
    const { project, log } = this.#options;
    const config = this.#config;
    try {
      if (!await Deno.stat(config.entrypoint).then((info) => info.isFile, () => false)) {
        throw new Error(`File not found: ${config.entrypoint}`);
      }
      const env: Readonly<Record<string, string>> = {
        ...await this.#options.env(),
        ...config.env,
        SB_EXECUTION_ID: crypto.randomUUID(),
        DENO_DEPLOYMENT_ID: `local_${config.name}_${++this.#version}`,
      };
      const socket = `/tmp/stack-${crypto.randomUUID()}.sock`;
      const child = await DenoChild.start({
        name: config.name,
        entrypoint: fromFileUrl(new URL("./bootstrap.ts", import.meta.url)),
        // As on the hosted runtime: no processes, no native code, no writes outside /tmp.
        flags: [
          "--allow-net",
          "--allow-read",
          "--allow-env",
          "--allow-sys",
          "--allow-import",
          "--allow-write=/tmp",
          "--no-check",
          // The signal of a request aborts only when the client disconnects.
          "--unstable-no-legacy-abort",
          ...await resolutionFlags(config, project.denoConfig, await typeImports(config.entrypoint)),
        ],
        env: {
          ...env,
          [ENTRYPOINT_VARIABLE]: toFileUrl(config.entrypoint),
          [VISIBLE_VARIABLE]: Object.keys(env).join(","),
          [SOCKET_VARIABLE]: socket,
        },
        cwd: project.root,
        // The first start downloads packages.
        startTimeoutMs: START_MS,
        onLine: log,
      });
      const running: RunningFunction = { child, inFlight: 0, usedAt: performance.now(), limit: undefined };
      this.#current = running;
      const watch = this.#watch(running);
      child.ended.then((reason) => {
        watch?.[Symbol.dispose]();
        Deno.remove(socket).catch(() => {});
        this.#onEnd(running, reason);
      });
      return running;
    } catch (error) {
      this.#unavailable = new FunctionUnavailableError("FUNCTION_LOAD_FAILED", this.#shown(messageOf(error)));
      throw this.#unavailable;
    } finally {
      this.#starting = undefined;
    }
  }

  /** Shortens the paths of the project in a message. */
  #shown(message: string): string {
    const { root } = this.#options.project;
    return message.replace(`${this.name} did not start: `, "").replaceAll(`${toFileUrl(root)}/`, "")
      .replaceAll(`${root}/`, "");
  }

  #watch(running: RunningFunction): Disposable | undefined {
    const { limits, log } = this.#options;
    const { child } = running;
    if (!limits || child.pid === undefined) return undefined;
    let unloaded: Promise<void> | undefined;
    return watchLimits(child.pid, limits, {
      onSoft: (reason) => {
        if (this.#current !== running) return;
        log(`${reason === "cpu" ? "CPU time" : "wall clock"} is half used: the next request starts another process`);
        this.rest("early_drop", limits.wallClockMs);
      },
      onNear: (reason) => unloaded = this.#command(child, UNLOAD, reason),
      onHard: async (_, detail) => {
        running.limit = detail;
        if (this.#current === running) this.#current = undefined;
        // A process that does not yield cannot respond.
        await Promise.race([unloaded, new Promise((resolve) => setTimeout(resolve, UNLOAD_MS))]);
        log(`${detail}: stopped`);
        child.kill();
      },
    });
  }

  #onEnd(running: RunningFunction, reason: string): void {
    // A retired process is expected to exit.
    if (this.#current !== running || this.#closed) return;
    this.#current = undefined;
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((at) => now - at < CRASHES_WITHIN_MS), now];
    const detail = this.#shown(reason);
    if (this.#crashes.length >= CRASHES) {
      const often = `crashed ${CRASHES} times within ${CRASHES_WITHIN_MS / 1000} s: change its sources to reload it`;
      this.#unavailable = new FunctionUnavailableError("FUNCTION_CRASHED", `${detail}\nIt ${often}.`);
      this.#options.log(often);
    } else {
      this.#options.log(`crashed: the next request restarts it. ${detail.split("\n")[0]}`);
    }
  }

  #retire(running: RunningFunction, reason: UnloadReason, drainMs = DRAIN_MS): void {
    const retiring = this.#drain(running, reason, drainMs).finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  async #drain(running: RunningFunction, reason: UnloadReason, drainMs: number): Promise<void> {
    const { child } = running;
    const deadline = Date.now() + drainMs;
    while (running.inFlight > 0 && child.running && Date.now() < deadline && !(this.#closed && drainMs > DRAIN_MS)) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    if (child.running) await this.#command(child, RETIRE, reason);
    await child.stop();
  }

  async #command(child: DenoChild, command: string, reason: UnloadReason): Promise<void> {
    await fetch(`http://${LOOPBACK}:${child.port}/${reason}`, {
      headers: { [TOKEN_HEADER]: child.token, [COMMAND_HEADER]: command },
      signal: AbortSignal.timeout(RETIRE_MS),
    }).then((response) => response.body?.cancel(), () => {});
  }
}
