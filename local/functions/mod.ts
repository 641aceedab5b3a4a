/**
 * The functions of a project, each in a process of its own.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { FunctionIsolate, FunctionUnavailableError, type RunningFunction } from "./isolate.ts";
import type { Limits } from "./limits.ts";

/** Options for {@linkcode Functions}. */
export interface FunctionsOptions {
  /** The project. */
  readonly project: Project;
  /** The functions at the start. */
  readonly configs: readonly FunctionConfig[];
  /** Returns the environment of the functions; called at each start of one. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
  /** Called with the name of a function and a line of its output. */
  readonly log: (source: string, line: string) => void;
  /** The limits of each process. Default: none. */
  readonly limits?: Limits | undefined;
}

/** Number of functions that are loaded at the same time at the start. */
const LOADED_AT_ONCE = Math.max(2, navigator.hardwareConcurrency);
/** Number of processes that are kept: of more, those that have been idle for longest end. */
const KEPT = 12;

/** The functions of a stack. */
export class Functions {
  readonly #options: FunctionsOptions;
  readonly #isolates: Map<string, FunctionIsolate>;
  readonly #stopping = new Set<Promise<void>>();
  #closed = false;

  /** Creates the functions; {@linkcode start} starts them. */
  constructor(options: FunctionsOptions) {
    this.#options = options;
    this.#isolates = new Map(options.configs.map((config) => [config.name, this.#create(config)]));
  }

  #create(config: FunctionConfig): FunctionIsolate {
    const { project, env, limits, log } = this.#options;
    return new FunctionIsolate({ project, config, env, limits, log: (line) => log(config.name, line) });
  }

  /** The configurations of the functions. */
  get configs(): FunctionConfig[] {
    return [...this.#isolates.values()].map(({ config }) => config);
  }

  /** The names of the functions. */
  get names(): string[] {
    return [...this.#isolates.keys()];
  }

  /** Returns a function by its name. */
  get(name: string): FunctionIsolate | undefined {
    return this.#isolates.get(name);
  }

  /**
   * Loads all functions, some of them at a time. Of many, those that were loaded first end again: a request starts them.
   *
   * @returns The error of each function that could not be loaded, by name. It does not affect the others.
   */
  async start(): Promise<Map<string, string>> {
    const failures = new Map<string, string>();
    const waiting = [...this.#isolates.values()];
    const load = async () => {
      for (let isolate = waiting.shift(); isolate && !this.#closed; isolate = waiting.shift()) {
        const { name } = isolate;
        await this.acquire(isolate).catch((error) => failures.set(name, messageOf(error)));
      }
    };
    await Promise.all(Array.from({ length: LOADED_AT_ONCE }, load));
    return new Map([...failures].sort(([a], [b]) => a < b ? -1 : 1));
  }

  /**
   * Returns the process of a function to send a request to, and starts it if it is not running.
   *
   * @throws {FunctionUnavailableError}
   */
  async acquire(isolate: FunctionIsolate): Promise<RunningFunction> {
    if (this.#closed) throw new FunctionUnavailableError("STACK_STOPPING", "The stack is stopping.");
    const running = await isolate.acquire();
    const idle = [...this.#isolates.values()].filter((other) => other !== isolate)
      .flatMap((other) => other.idleSince === undefined ? [] : [{ other, since: other.idleSince }])
      .sort((a, b) => a.since - b.since);
    for (const { other } of idle.slice(0, Math.max(0, idle.length + 1 - KEPT))) other.rest();
    return running;
  }

  /**
   * Reloads one function, or all of them.
   *
   * @throws {FunctionUnavailableError} If its sources cannot be loaded.
   * @throws {RangeError} If the function does not exist.
   */
  async reload(name?: string): Promise<void> {
    if (name === undefined) {
      await Promise.all([...this.#isolates.values()].map((isolate) => isolate.reload()));
      return;
    }
    const isolate = this.#isolates.get(name);
    if (!isolate) throw new RangeError(`Function "${name}" not found. Functions: ${this.names.join(", ") || "none"}`);
    await isolate.reload();
  }

  /**
   * Replaces the functions: adds those that are new, stops those that `configs` does not have, after their requests in
   * flight, and sets the configuration of the others. The caller reloads the ones that are returned.
   *
   * @returns The names of functions that are new or whose configuration has changed, and of those that were removed.
   */
  update(configs: readonly FunctionConfig[]): { added: string[]; changed: string[]; removed: string[] } {
    const added: string[] = [];
    const changed: string[] = [];
    const removed: string[] = [];
    if (this.#closed) return { added, changed, removed };
    for (const [name, isolate] of this.#isolates) {
      if (configs.some((config) => config.name === name)) continue;
      this.#isolates.delete(name);
      removed.push(name);
      this.#stopping.add(isolate.stop());
    }
    for (const config of configs) {
      const isolate = this.#isolates.get(config.name);
      if (!isolate) {
        this.#isolates.set(config.name, this.#create(config));
        added.push(config.name);
      } else if (JSON.stringify(isolate.config) !== JSON.stringify(config)) {
        isolate.configure(config);
        changed.push(config.name);
      }
    }
    return { added, changed, removed };
  }

  /** Stops all functions. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#stopping, ...[...this.#isolates.values()].map((isolate) => isolate.stop())]);
  }
}
