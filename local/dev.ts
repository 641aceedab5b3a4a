/**
 * `deno task dev`: the local stack at the command line.
 *
 * Ends with status 0 when it was told to end, 1 when it could not do its
 * work, 2 when the command line is wrong.
 *
 * @module
 */
import { watchLaunchers } from "./cli/ancestors.ts";
import { type Arguments, HELP, parseArguments } from "./cli/arguments.ts";
import { banner } from "./cli/banner.ts";
import { resetProject } from "./cli/reset.ts";
import { messageOf, StackFault } from "./fault.ts";
import { requirePort } from "./ports.ts";
import { prepareState, projectAt } from "./project.ts";
import { type Stack, startStack } from "./stack.ts";

const FORCE_AFTER_MS = 15_000;

/** Prints a line; a terminal that has gone is no reason to fail. */
function print(line: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch {
    // Ctrl-C in a pipeline ends the reader first.
  }
}

function fail(error: unknown): never {
  console.error(`Error: ${error instanceof StackFault ? error.message : messageOf(error)}`);
  Deno.exit(error instanceof StackFault && error.code === "USAGE" ? 2 : 1);
}

async function start({ reset, port, databasePort, project, watch, quiet }: Arguments): Promise<Stack> {
  const { root, state } = projectAt(project);
  requirePort(port, "--port");
  requirePort(databasePort, "--db-port");
  if (reset) {
    await prepareState(state);
    const deleted = await resetProject(state);
    if (!quiet) print(deleted.length > 0 ? `Deleted ${deleted.join(", ")}` : "There was nothing to delete.");
  }
  return await startStack({
    root,
    port,
    databasePort,
    watch,
    warn: (line) => print(`Warning: ${line}`),
    ...(quiet ? {} : {
      log: (source, line) => print(`[${source}] ${line}`),
      progress: (step, elapsedMs) => print(`${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${step}`),
    }),
  });
}

async function main(): Promise<void> {
  const args = parseArguments(Deno.args);
  if (args.help) return print(HELP);

  const asked = Promise.withResolvers<string>();
  let ending = false;
  let broken: StackFault | undefined;
  const end = (reason: string) => {
    // The guards take down what is left.
    if (ending) Deno.exit(130);
    ending = true;
    asked.resolve(reason);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => end(signal));
  }
  using _watch = await watchLaunchers(() => ending || end("whoever started it has gone"));

  const starting = start(args);
  const stack = await Promise.race([starting, asked.promise]);
  if (typeof stack !== "string") {
    print(banner(stack));
    const reason = await Promise.race([asked.promise, stack.broken]);
    if (reason instanceof StackFault) broken = reason;
    else if (!args.quiet) print(`\nEnding (${reason}) …`);
  }
  Deno.unrefTimer(setTimeout(() => Deno.exit(1), FORCE_AFTER_MS));
  // One that is still starting is taken down once it has started, or has failed to.
  await starting.then((started) => started.stop(), () => {});
  if (broken) fail(broken);
  Deno.exit(0);
}

await main().catch(fail);
