/**
 * `deno task dashboard`: the dashboard at the command line.
 *
 * Exits with status 0 when it was asked to stop, 1 after an error, 2 for an invalid command line.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { watchLaunchers } from "../cli/ancestors.ts";
import { exemptLoopback } from "../gateway/proxy.ts";
import { printable } from "../printable.ts";
import { runningStack } from "../running_stack.ts";
import { StackError } from "../stack_error.ts";
import { type DashboardArguments, HELP, parseDashboardArguments } from "./arguments.ts";
import { type DashboardOptions, openDashboard, type ProjectAccess } from "./mod.ts";
import { KEY_VARIABLE, ownTerminal, secretKeyOf } from "./secret_key.ts";

/** Returns the project to show, and its key. */
async function targetOf(
  { url, project, stackPort }: DashboardArguments,
  signal: AbortSignal,
): Promise<ProjectAccess & Pick<DashboardOptions, "locate">> {
  if (url !== undefined) return { url, secretKey: await secretKeyOf(Deno.env.get(KEY_VARIABLE), ownTerminal, signal) };
  const locate = () => runningStack({ project, port: stackPort });
  return { ...await locate(), locate };
}

async function main(): Promise<void> {
  const args = parseDashboardArguments(Deno.args);
  if (args.help) return console.log(HELP);
  const stopping = new AbortController();
  const stopped = Promise.withResolvers<void>();
  const stop = () => {
    stopping.abort();
    stopped.resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, stop);
  using _watch = await watchLaunchers(stop);
  const target = await targetOf(args, stopping.signal);
  exemptLoopback();
  await using dashboard = openDashboard({ ...target, function: args.function, port: args.port });
  console.log(`The dashboard of ${new URL(target.url).host}: ${dashboard.url}\nCtrl-C stops it.`);
  await stopped.promise;
}

try {
  await main();
  Deno.exit(0);
} catch (error) {
  console.error(`Error: ${printable(messageOf(error))}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
