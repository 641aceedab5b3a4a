/**
 * `deno task deploy`: deploys the functions with the Supabase CLI.
 *
 * Exits with the status of the CLI, with 1 after a failed check, with 2 for an
 * invalid command line, with 128 + n after signal n.
 *
 * @module
 */
import { resolve } from "node:path";
import { messageOf } from "../../shared/resilience/mod.ts";
import { watchLaunchers } from "../cli/ancestors.ts";
import { printable } from "../printable.ts";
import { projectAt, requireSupabase } from "../project.ts";
import { StackError } from "../stack_error.ts";
import { HELP, parseDeployArguments } from "./arguments.ts";
import { describePlan } from "./plan.ts";
import { preflight } from "./preflight.ts";
import { runSupabase, SUPABASE_CLI } from "./supabase_cli.ts";

/** The signals that end a deployment, with the exit status after each. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const fail = (text: string) => console.error(`Error: ${printable(text)}`);

/** Says how to continue after the CLI has failed, whose own message is above. */
function explainFailure(status: number, remote: string | undefined): void {
  const list = `npx -y ${SUPABASE_CLI} functions list${remote === undefined ? "" : ` --remote=${remote}`}`;
  fail(
    `The Supabase CLI exited with status ${status}, for the reason above, where "supabase" stands for ` +
      `"npx -y ${SUPABASE_CLI}": remove the cause, then run the same command again. Functions that were uploaded ` +
      `before may be in effect; to list them: ${list}`,
  );
}

/** Returns the path of an import map: of one in the current folder, or else of one in the project, as for the CLI. */
async function resolveImportMap(path: string, root: string): Promise<string> {
  const here = resolve(path);
  return await Deno.stat(here).then(() => here, () => resolve(root, path));
}

async function deploy(args: readonly string[], interruption: AbortSignal): Promise<number> {
  const parsed = parseDeployArguments(args);
  if (parsed.help) {
    console.log(HELP);
    return 0;
  }
  const { names: requested, workdir, remote } = parsed;
  const project = projectAt(workdir);
  requireSupabase(project, "--workdir");
  const importMap = parsed.importMap && await resolveImportMap(parsed.importMap, project.root);
  const { functions, errors, warnings } = await preflight(project, { requested, importMap, interruption });
  for (const line of warnings) console.error(`Warning: ${line}`);
  for (const line of errors) console.error(`Error: ${line}`);
  if (errors.length > 0) {
    console.error("Nothing was deployed.");
    return 1;
  }
  const cliArguments = ["functions", "deploy", "--use-api", "--workdir", project.root];
  if (importMap !== undefined) cliArguments.push("--import-map", importMap);
  cliArguments.push(...parsed.passedOn);
  if (parsed.dryRun) {
    for (const line of await describePlan({ ...parsed, project, functions, args: cliArguments })) console.log(line);
    return 0;
  }
  interruption.throwIfAborted();
  const status = await runSupabase(cliArguments, interruption);
  if (interruption.aborted) {
    fail(
      `The deployment was interrupted (${interruption.reason}): functions that were uploaded before may be in effect. ` +
        "Run the same command again to finish it.",
    );
  } else if (status !== 0) explainFailure(status, remote);
  return status;
}

const interruption = new AbortController();
let interruptedStatus: number | undefined;
const interrupt = (signal: keyof typeof SIGNALS) => {
  interruptedStatus ??= SIGNALS[signal];
  interruption.abort(signal);
};
for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
  Deno.addSignalListener(signal, () => interrupt(signal));
}
using _watch = await watchLaunchers(() => interrupt("SIGTERM"));

try {
  const status = await deploy(Deno.args, interruption.signal);
  Deno.exit(interruptedStatus ?? status);
} catch (error) {
  if (interruptedStatus !== undefined) {
    fail(`Interrupted (${interruption.signal.reason}) before anything was deployed: run the same command again.`);
    Deno.exit(interruptedStatus);
  }
  fail(messageOf(error));
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
