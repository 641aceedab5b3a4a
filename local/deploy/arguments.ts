/**
 * The command line of `deno task deploy`.
 *
 * @module
 */
import { StackFault } from "../fault.ts";

/** What was asked for. */
export interface DeployArguments {
  /** Only explain. */
  readonly help: boolean;
  /** The functions to deploy; none: all of them. */
  readonly names: readonly string[];
  /** The project's folder; `undefined`: the one that this is part of. */
  readonly workdir: string | undefined;
  /** An import map for all functions; `undefined`: each has the one that `supabase/config.toml` names. */
  readonly importMap: string | undefined;
  /** Everything but `--workdir`, as it stood. */
  readonly passedOn: readonly string[];
}

/** What `--help` prints. */
export const HELP = `Usage: deno task deploy [options] [function ...]

Deploys the functions that supabase/config.toml names, or those given, to the
linked Supabase project. Looks first whether each import of theirs leads
somewhere, then runs the Supabase CLI: supabase functions deploy --use-api,
which needs no Docker.

  --remote=<ref>       Project to deploy to (default: the linked one)
  --yes                Do not ask before anything is changed; needed where there is no terminal
  --prune              Delete functions of the project that are not here
  --workdir <folder>   Folder of the project (default: the one this is part of)
  --help               Print this

Other options are passed on to the CLI. To log in and to link, once:

  npx -y supabase@3 login
  npx -y supabase@3 link <ref>

Where nobody can log in, as in CI, set SUPABASE_ACCESS_TOKEN and pass --remote and --yes.
`;

/** Options of the CLI whose value is the next argument. */
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
 * Reads the arguments of a command line.
 *
 * @throws {StackFault} `USAGE` if the value of an option is missing.
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
      if (value === undefined) throw new StackFault("USAGE", `${flag} takes a value, and nothing follows it.`);
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
