/**
 * The project's functions, each in a process of its own.
 *
 * @module
 */
import { messageOf } from "../fault.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { FunctionIsolate } from "./isolate.ts";

/** How to run the functions. */
export interface FunctionsOptions {
  /** The project. */
  readonly project: Project;
  /** The functions. */
  readonly configs: readonly FunctionConfig[];
  /** What they see of an environment, asked for at each start of one. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
  /** Gets what they print, with the name of which. */
  readonly log: (source: string, line: string) => void;
}

/** All functions of a stack. */
export class Functions {
  readonly #isolates: ReadonlyMap<string, FunctionIsolate>;

  /** Starts nothing yet. */
  constructor({ project, configs, env, log }: FunctionsOptions) {
    this.#isolates = new Map(
      configs.map((config) => [
        config.name,
        new FunctionIsolate({ project, config, env, log: (line) => log(config.name, line) }),
      ]),
    );
  }

  /** Their names. */
  get names(): string[] {
    return [...this.#isolates.keys()];
  }

  /** The function of that name, if there is one. */
  get(name: string): FunctionIsolate | undefined {
    return this.#isolates.get(name);
  }

  /**
   * Loads all of them.
   *
   * @returns What went wrong, by name: a function that does not load keeps no other from it.
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
   * Loads one function, or all, anew.
   *
   * @throws {FunctionUnavailableError} if its sources cannot be loaded.
   * @throws {RangeError} if there is no function of that name.
   */
  async reload(name?: string): Promise<void> {
    if (name === undefined) {
      await Promise.all([...this.#isolates.values()].map((isolate) => isolate.reload()));
      return;
    }
    const isolate = this.#isolates.get(name);
    if (!isolate) throw new RangeError(`There is no function "${name}": there are ${this.names.join(", ") || "none"}`);
    await isolate.reload();
  }

  /** Takes all of them down in order. */
  async stop(): Promise<void> {
    await Promise.all([...this.#isolates.values()].map((isolate) => isolate.stop()));
  }
}
