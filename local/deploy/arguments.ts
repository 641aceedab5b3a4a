/**
 * The command line of `deno task deploy`.
 *
 * @module
 */
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** The arguments of `deno task deploy`. */
export interface DeployArguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** The functions to deploy; empty for all of them. */
  readonly names: readonly string[];
  /** The folder of the project. `undefined`: the project of this file. */
  readonly workdir: string | undefined;
  /** An import map for all functions. `undefined`: each uses the one that `supabase/config.toml` names. */
  readonly importMap: string | undefined;
  /** All arguments except `--workdir`, unchanged. */
  readonly passedOn: readonly string[];
}

/** The help text. */
export const HELP = `Usage: ${commandOf("deploy")} [options] [function ...]

Deploys the given functions, or all functions of supabase/config.toml, to the
linked Supabase project. Checks that every import can be resolved, then runs the
Supabase CLI: supabase functions deploy --use-api, which needs no Docker.

  --remote=<ref>       Project to deploy to (default: the linked one)
  --yes                Do not ask for confirmation; required without a terminal
  --prune              Delete functions of the project that do not exist here
  --workdir <folder>   Folder of the project (default: this one)
  --help               Print this

Other options are passed on to the CLI. To log in and to link, once:

  npx -y supabase@3 login
  npx -y supabase@3 link <ref>

Without a login, as in CI, set SUPABASE_ACCESS_TOKEN and pass --remote and --yes.
`;

/** Options of the CLI that take the next argument as their value. */
const WITH_VALUE = new Set([
  "--agent",
  "--dns-resolver",
  "--import-map",
  "--jobs",
  "--log-level",
  "--network-id",
  "--output",
  "--output-format",
  "--profile",
  "--project-ref",
  "--workdir",
  "-j",
  "-o",
]);

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE` if the value of an option is missing.
 */
export function parseDeployArguments(args: readonly string[]): DeployArguments {
  const names: string[] = [];
  const passedOn: string[] = [];
  const values: { [flag: string]: string } = {};
  let help = false;
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, flag = argument, inline] = /^(-[^=]+)=(.*)$/.exec(argument) ?? [];
    let value = inline;
    if (WITH_VALUE.has(flag) && value === undefined) {
      value = rest.shift();
      if (value === undefined) throw new StackError("USAGE", `${flag} requires a value.`);
    }
    if (value !== undefined) values[flag] = value;
    if (flag === "--help" || flag === "-h") help = true;
    else if (flag !== "--workdir") {
      passedOn.push(argument, ...(inline === undefined && value !== undefined ? [value] : []));
    }
    if (!argument.startsWith("-")) names.push(argument);
  }
  return { help, names, workdir: values["--workdir"], importMap: values["--import-map"], passedOn };
}
