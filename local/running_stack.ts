/**
 * The local stack that `dev` runs, as other tools find it.
 *
 * @module
 */
import { readConfig } from "./config/mod.ts";
import { commandOf } from "./invocation.ts";
import { loadKeys } from "./keys.ts";
import { lockHolder } from "./lock.ts";
import { DEFAULT_PORT, LOOPBACK } from "./ports.ts";
import { projectAt } from "./project.ts";
import { StackError } from "./stack_error.ts";

/** The address and the keys of a running stack. */
export interface RunningStack {
  /** The URL of its gateway, without a trailing slash. */
  readonly url: string;
  /** The key for browsers. */
  readonly publishableKey: string;
  /** The key that bypasses row-level security. */
  readonly secretKey: string;
}

/** The stack to look for. */
export interface RunningStackOptions {
  /** The folder of the project. `undefined`: the project of this file. */
  readonly project?: string | undefined;
  /** The port of the gateway. `undefined`: the one that the stack listens on. */
  readonly port?: number | undefined;
}

/**
 * Returns the running stack of a project. Its keys are read only if a stack holds the lock of the project, and only for
 * an address on this machine.
 *
 * @throws {StackError} `STOPPED` if no stack is running.
 */
export async function runningStack({ project, port }: RunningStackOptions = {}): Promise<RunningStack> {
  const found = projectAt(project);
  const holder = await lockHolder(found.state);
  if (!holder) {
    const start = commandOf("dev", ...(project === undefined ? [] : ["--project", project]));
    throw new StackError("STOPPED", `The local stack of ${found.root} is not running: start it with \`${start}\`.`);
  }
  const { publishableKey, secretKey } = await loadKeys(`${found.state}/keys.json`);
  if (port === undefined && holder.url !== undefined) return { url: holder.url, publishableKey, secretKey };
  // A stack that is starting listens on the port of its configuration, unless its command line names another.
  const { api } = await readConfig(found);
  return { url: `http://${LOOPBACK}:${port ?? api.port ?? DEFAULT_PORT}`, publishableKey, secretKey };
}
