/**
 * `deno task deploy`: deploys the functions with the Supabase CLI.
 *
 * Exits with the status of the CLI, with 1 after a failed check, with 2 for an
 * invalid command line.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
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
  const { errors, warnings } = await preflight(project, names, importMap);
  for (const line of warnings) console.error(`Warning: ${line}`);
  for (const line of errors) console.error(`Error: ${line}`);
  if (errors.length > 0) {
    console.error("Nothing was deployed.");
    return 1;
  }
  return await runSupabase(["functions", "deploy", "--use-api", "--workdir", project.root, ...passedOn]);
}

try {
  Deno.exit(await deploy(Deno.args));
} catch (error) {
  console.error(`Error: ${messageOf(error)}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
