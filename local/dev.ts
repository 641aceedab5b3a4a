/**
 * `deno task dev`: the local stack at the command line.
 *
 * Exits with status 0 when it was asked to stop, 1 after an error, 2 for an
 * invalid command line.
 *
 * @module
 */
import { messageOf } from "../shared/resilience/mod.ts";
import { watchLaunchers } from "./cli/ancestors.ts";
import { type Arguments, HELP, parseArguments } from "./cli/arguments.ts";
import { banner } from "./cli/banner.ts";
import { resetProject } from "./cli/reset.ts";
import { readConfig } from "./config/mod.ts";
import { type Dashboard, openDashboard } from "./dashboard/mod.ts";
import { StackError } from "./stack_error.ts";
import { storageReason } from "./storage_error.ts";
import { DEFAULT_PORT, requirePort } from "./ports.ts";
import { printable } from "./printable.ts";
import { requireUnlocked } from "./lock.ts";
import { prepareState, projectAt, requireSupabase } from "./project.ts";
import { type Stack, startStack } from "./stack.ts";

const FORCE_AFTER_MS = 15_000;
const DEFAULT_DATABASE_PORT = 54322;

/** Prints a line. A closed terminal is not an error. */
function print(line: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch {
    // Ctrl-C in a pipeline ends the reader first.
  }
}

function fail(error: unknown): never {
  const found = error instanceof StackError ? undefined : storageReason(error);
  const text = found
    ? `Cannot start, because ${found.reason} (${messageOf(error).split("\n")[0]}): ${found.remedy}.`
    : messageOf(error);
  console.error(`Error: ${printable(text)}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}

async function start(args: Arguments): Promise<Stack> {
  const { reset, project, watch, quiet, allowedHosts, limits, envFile, ...ports } = args;
  const found = projectAt(project);
  requireSupabase(found);
  const { root, state } = found;
  const { api, db } = await readConfig(found);
  const port = ports.port ?? api.port ?? DEFAULT_PORT;
  const databasePort = ports.databasePort ?? db.port ?? DEFAULT_DATABASE_PORT;
  if (port !== 0 && port === databasePort) {
    throw new StackError(
      "USAGE",
      `The gateway and Postgres both have port ${port}: choose another with --port <port>.`,
    );
  }
  // Its ports are taken as well, but this says by what.
  await requireUnlocked(state);
  requirePort(port, "--port");
  requirePort(databasePort, "--db-port");
  if (reset) {
    await prepareState(state);
    const deleted = await resetProject(state);
    if (!quiet) print(deleted.length > 0 ? `Deleted ${deleted.join(", ")}` : "Nothing to delete.");
  }
  return await startStack({
    root,
    port,
    databasePort,
    watch,
    allowedHosts,
    limits,
    envFile,
    warn: (line) => print(`Warning: ${line}`),
    ...(quiet ? {} : {
      log: (source, line) => print(`[${source}] ${line}`),
      progress: (step, elapsedMs) => print(`${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${step}`),
    }),
  });
}

/** Starts the dashboard of a stack on a port of its own, where no other page shares its origin. */
function dashboardOf({ url, secretKey, functions: { names } }: Stack): Dashboard | undefined {
  if (!names.includes("health")) return undefined;
  try {
    return openDashboard({ url, secretKey });
  } catch {
    // No port is free: the stack works without it.
    return undefined;
  }
}

async function main(): Promise<void> {
  const args = parseArguments(Deno.args);
  if (args.help) return print(HELP);

  const stopRequest = Promise.withResolvers<string>();
  let stopping = false;
  let broken: StackError | undefined;
  const requestStop = (reason: string) => {
    // The supervisors end the children that are left.
    if (stopping) Deno.exit(130);
    stopping = true;
    stopRequest.resolve(reason);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => requestStop(signal));
  }
  using _watch = await watchLaunchers(() => stopping || requestStop("the process that started it has exited"));

  const starting = start(args);
  const stack = await Promise.race([starting, stopRequest.promise]);
  if (typeof stack !== "string") {
    const dashboard = dashboardOf(stack);
    print(banner(stack, dashboard?.url));
    const reason = await Promise.race([stopRequest.promise, stack.broken]);
    dashboard?.stop();
    if (reason instanceof StackError) broken = reason;
    else if (!args.quiet) print(`\nStopping (${reason}) …`);
  } else if (!args.quiet) {
    print(`\nStopping (${stack}) once the start has ended; Ctrl-C again stops it at once …`);
  }
  Deno.unrefTimer(setTimeout(() => Deno.exit(1), FORCE_AFTER_MS));
  // A stack that is still starting is stopped once it has started or failed.
  await starting.then((started) => started.stop(), () => {});
  if (broken) fail(broken);
  Deno.exit(0);
}

await main().catch(fail);
