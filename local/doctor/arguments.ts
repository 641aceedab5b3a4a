/**
 * The command line of `doctor`.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** The arguments of `doctor`. */
export interface DoctorArguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** The folder of the project. `undefined`: the current one. */
  readonly project: string | undefined;
  /** Files with variables; empty for those that the Supabase CLI reads. */
  readonly envFiles: readonly string[];
  /** Open no connections. */
  readonly offline: boolean;
  /** Print the findings as JSON. */
  readonly json: boolean;
}

/** The help text. */
export const HELP = `Usage: ${commandOf("doctor")} [options] [project]

Checks a Supabase project and says what to fix: keys, JWT_SECRET, the address and
login role of direct Postgres, verify_jwt, tables and policies, versions of
packages, and whether the Data API, Auth and the database respond. It changes
nothing and prints no secret.

  [project]          Folder of the project (default: the current folder)
  --env-file <file>  Variables to check, in place of .env, .env.local and
                     supabase/functions/.env; may be repeated
  --offline          Open no connections
  --json             Print the findings as JSON
  --help             Print this

Variables of the environment win over those of files. The exit status is 1 if a
check fails, and 2 for an invalid command line.
`;

const FLAGS = ["--env-file", "--offline", "--json", "--help"];

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE`.
 */
export function parseDoctorArguments(args: readonly string[]): DoctorArguments {
  const result = { help: false, project: undefined as string | undefined, offline: false, json: false };
  const envFiles: string[] = [];
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, flag = argument, inline] = /^(--[^=]+)=(.*)$/.exec(argument) ?? [];
    if (flag === "--help" || flag === "-h") result.help = true;
    else if (flag === "--offline") result.offline = true;
    else if (flag === "--json") result.json = true;
    else if (flag === "--env-file") {
      const file = inline ?? rest.shift();
      if (!file) throw new StackError("USAGE", "--env-file must be a file: the value is missing.");
      envFiles.push(file);
    } else if (argument.startsWith("-")) {
      const nearest = nearestName(argument, FLAGS, 4);
      const hint = nearest ? `did you mean ${nearest}?` : "--help lists the options.";
      throw new StackError("USAGE", `Unknown option ${argument}: ${hint}`);
    } else if (result.project === undefined) result.project = argument;
    else throw new StackError("USAGE", `One project at a time: got ${result.project} and ${argument}.`);
  }
  return { ...result, envFiles };
}
