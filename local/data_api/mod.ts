/**
 * The Data API and Auth as the stack sees them: a process that is started
 * again whenever it ends.
 *
 * @module
 */
import { DenoChild } from "../deno_child.ts";
import { messageOf } from "../fault.ts";
import { fromFileUrl } from "../paths.ts";
import type { Project } from "../project.ts";
import type { DataApiConfig } from "./generation.ts";

/** How to run it. */
export interface DataApiOptions {
  /** The project. */
  readonly project: Project;
  /** What it needs to know. */
  readonly config: DataApiConfig;
  /** Gets what it prints, and word of its crashes. */
  readonly log: (line: string) => void;
}

const BACKOFF_MS = [0, 100, 500, 2_000, 5_000];
const STEADY_MS = 10_000;

/** The running Data API. */
export class DataApi {
  readonly #options: DataApiOptions;
  #child: DenoChild | undefined;
  #closed = false;

  private constructor(options: DataApiOptions) {
    this.#options = options;
  }

  /**
   * Starts it.
   *
   * @throws {StackFault} `SERVICE_FAILED` if the first start fails; later ones are tried again and again.
   */
  static async start(options: DataApiOptions): Promise<DataApi> {
    const api = new DataApi(options);
    await api.#start();
    api.#keepRunning();
    return api;
  }

  /** Where to send requests; `undefined` while it is being started again. */
  get target(): DenoChild | undefined {
    return this.#child?.running ? this.#child : undefined;
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#closed = true;
    await this.#child?.stop();
  }

  async #start(): Promise<void> {
    const { project, config, log } = this.#options;
    this.#child = await DenoChild.start({
      name: "The Data API",
      entrypoint: fromFileUrl(new URL("./main.ts", import.meta.url)),
      // Deno finds the configuration of this file's own project, which may not be the one being run.
      flags: ["--allow-all", "--no-check"],
      env: { DATA_API_CONFIG: JSON.stringify(config), LITE_TELEMETRY: "0", DO_NOT_TRACK: "1" },
      cwd: project.root,
      onLine: log,
    });
  }

  async #keepRunning(): Promise<void> {
    for (let failures = 0; !this.#closed;) {
      const startedAt = Date.now();
      const reason = await this.#child?.ended;
      if (this.#closed) return;
      failures = Date.now() - startedAt > STEADY_MS ? 0 : failures + 1;
      this.#options.log(`ended unexpectedly, is started again: ${reason?.split("\n")[0] || "it said nothing"}`);
      await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]));
      if (this.#closed) return;
      await this.#start().catch((error) => this.#options.log(messageOf(error)));
      // Stopped while it was starting.
      if (this.#closed) await this.#child?.stop();
    }
  }
}
