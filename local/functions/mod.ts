/**
 * The functions of a project, each in a process of its own.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { FunctionIsolate } from "./isolate.ts";

/** Options for {@linkcode Functions}. */
export interface FunctionsOptions {
  /** The project. */
  readonly project: Project;
  /** The functions. */
  readonly configs: readonly FunctionConfig[];
  /** Returns the environment of the functions; called at each start of one. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
  /** Called with the name of a function and a line of its output. */
  readonly log: (source: string, line: string) => void;
}

/** The functions of a stack. */
export class Functions {
  readonly #isolates: ReadonlyMap<string, FunctionIsolate>;

  /** Creates the functions; {@linkcode start} starts them. */
  constructor({ project, configs, env, log }: FunctionsOptions) {
    this.#isolates = new Map(
      configs.map((config) => [
        config.name,
        new FunctionIsolate({ project, config, env, log: (line) => log(config.name, line) }),
      ]),
    );
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
   * Loads all functions.
   *
   * @returns The error of each function that could not be loaded, by name. It does not affect the others.
   */
  async start(): Promise<Map<string, string>> {
    const failures = new Map<string, string>();
    await Promise.all(
      [...this.#isolates.values()].map((isolate) =>
        isolate.acquire().catch((error) => failures.set(isolate.name, messageOf(error)))
      ),
    );
    return failures;
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

  /** Stops all functions. */
  async stop(): Promise<void> {
    await Promise.all([...this.#isolates.values()].map((isolate) => isolate.stop()));
  }
}
