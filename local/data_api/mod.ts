/**
 * The Data API, Auth and Storage: a process that is restarted whenever it exits.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { DenoChild } from "../deno_child.ts";
import { fromFileUrl } from "../paths.ts";
import type { Project } from "../project.ts";
import type { ServicesConfig } from "./services.ts";

/** Options for {@linkcode DataApi.start}. */
export interface DataApiOptions {
  /** The project. */
  readonly project: Project;
  /** The configuration of its parts. */
  readonly config: ServicesConfig;
  /** Called with each line of its output, and when it crashes. */
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
   * Starts the Data API.
   *
   * @throws {StackError} `SERVICE_FAILED` if the first start fails. Later starts are retried forever.
   */
  static async start(options: DataApiOptions): Promise<DataApi> {
    const api = new DataApi(options);
    await api.#start();
    api.#keepRunning();
    return api;
  }

  /** The process to send requests to; `undefined` while it restarts. */
  get target(): DenoChild | undefined {
    return this.#child?.running ? this.#child : undefined;
  }

  /** Stops the Data API. */
  async stop(): Promise<void> {
    this.#closed = true;
    await this.#child?.stop();
  }

  async #start(): Promise<void> {
    const { project, config, log } = this.#options;
    this.#child = await DenoChild.start({
      name: "The Data API",
      entrypoint: fromFileUrl(new URL("./main.ts", import.meta.url)),
      // Deno uses the configuration of this file's project, which may differ from the project that runs.
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
      this.#options.log(`exited unexpectedly, restarting: ${reason?.split("\n")[0] || "no output"}`);
      await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]));
      if (this.#closed) return;
      await this.#start().catch((error) => this.#options.log(messageOf(error)));
      // It was stopped during the start.
      if (this.#closed) await this.#child?.stop();
    }
  }
}
