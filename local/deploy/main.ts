/**
 * `deno task deploy`: deploys the functions with the Supabase CLI.
 *
 * Ends with the CLI's own status; with 1 when something is wrong that it would
 * not have minded, 2 when the command line is wrong.
 *
 * @module
 */
import { messageOf, StackFault } from "../fault.ts";
import { projectAt } from "../project.ts";
import { HELP, parseDeployArguments } from "./arguments.ts";
import { preflight } from "./preflight.ts";
import { runSupabase } from "./supabase_cli.ts";

async function deploy(args: readonly string[]): Promise<number> {
  const { help, names, workdir, importMap, passedOn } = parseDeployArguments(args);
  if (help) {
    console.log(HELP);
    return 0;
  }
  const project = projectAt(workdir);
  const { faults, warnings } = await preflight(project, names, importMap);
  for (const line of warnings) console.error(`Warning: ${line}`);
  for (const line of faults) console.error(`Error: ${line}`);
  if (faults.length > 0) {
    console.error("Nothing was deployed.");
    return 1;
  }
  return await runSupabase(["functions", "deploy", "--use-api", "--workdir", project.root, ...passedOn]);
}

try {
  Deno.exit(await deploy(Deno.args));
} catch (error) {
  console.error(`Error: ${messageOf(error)}`);
  Deno.exit(error instanceof StackFault && error.code === "USAGE" ? 2 : 1);
}
