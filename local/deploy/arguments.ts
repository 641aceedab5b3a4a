/**
 * The command line of `deno task deploy`.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";
import { SUPABASE_CLI } from "./supabase_cli.ts";

/** The arguments of `deno task deploy`. */
export interface DeployArguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** Print what would be deployed, and do not run the CLI. */
  readonly dryRun: boolean;
  /** The functions to deploy; empty for all of them. */
  readonly names: readonly string[];
  /** The folder of the project. `undefined`: the project of this file. */
  readonly workdir: string | undefined;
  /** The project to deploy to. `undefined`: the linked one. */
  readonly remote: string | undefined;
  /** An import map for all functions, as it was given. `undefined`: each uses the one that `supabase/config.toml` names. */
  readonly importMap: string | undefined;
  /** Deploy all functions without the platform's check of JWTs. */
  readonly noVerifyJwt: boolean;
  /** Delete functions that do not exist here. */
  readonly prune: boolean;
  /** All other arguments: without `--workdir`, `--import-map` and `--dry-run`. */
  readonly passedOn: readonly string[];
}

/** The help text. */
export const HELP = `Usage: ${commandOf("deploy")} [options] [function ...]

Deploys the given functions, or all functions of supabase/config.toml, to the
linked Supabase project. Checks that every import can be resolved, then runs the
Supabase CLI: supabase functions deploy --use-api, which needs no Docker.

  --remote=<ref>       Project to deploy to (default: the linked one)
  --yes                Do not ask for confirmation; required without a terminal
  --dry-run            Check, and print what would be deployed; needs no login
  --prune              Delete functions of the project that do not exist here
  --workdir <folder>   Folder of the project (default: this one)
  --help               Print this

Other options of the CLI are passed on to it. To log in and to link, once:

  npx -y ${SUPABASE_CLI} login
  npx -y ${SUPABASE_CLI} link <ref>

Without a login, as in CI, set SUPABASE_ACCESS_TOKEN and pass --remote and --yes.
`;

/** Options of the CLI that take the next argument as their value. */
const WITH_VALUE = [
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
];
/** The other options: `--remote` takes its value after an equals sign only. */
const FLAGS = [
  "--debug",
  "--dry-run",
  "--experimental",
  "--help",
  "--no-verify-jwt",
  "--prune",
  "--remote",
  "--use-api",
  "--yes",
  "-h",
];
/** Options that `deploy` itself reads, and passes on in its own form, if at all. */
const NOT_PASSED_ON = ["--dry-run", "--import-map", "--workdir"];
/** Options that select another way to bundle. */
const OTHER_BUNDLERS = ["--legacy-bundle", "--use-docker"];

function unknownOption(flag: string): StackError {
  if (OTHER_BUNDLERS.includes(flag)) {
    return new StackError(
      "USAGE",
      `${flag} is not supported, because this command bundles without Docker: leave it out, or run the CLI itself, ` +
        `npx -y ${SUPABASE_CLI} functions deploy ${flag}.`,
    );
  }
  const nearest = nearestName(flag, [...WITH_VALUE, ...FLAGS], 4);
  return new StackError(
    "USAGE",
    `Unknown option ${flag}: ${nearest === undefined ? "--help lists the options." : `did you mean ${nearest}?`}`,
  );
}

/** The rule of the CLI for `--remote` takes any other text for a ref or a branch, and asks the platform. */
function checkRemote(value: string): string {
  if (/^[\w./-]+$/.test(value)) return value;
  throw new StackError(
    "USAGE",
    `--remote must be the ref of a project, 20 letters, or the name of a branch, for example ` +
      `--remote=abcdefghijklmnopqrst: got ${JSON.stringify(value)}.`,
  );
}

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE` for an unknown option, or if the value of an option is missing or invalid.
 */
export function parseDeployArguments(args: readonly string[]): DeployArguments {
  const names: string[] = [];
  const passedOn: string[] = [];
  const flags = new Set<string>();
  const values: { [flag: string]: string } = {};
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === "--") {
      names.push(...rest);
      passedOn.push(argument, ...rest);
      break;
    }
    const [, flag = argument, inline] = /^(-[^=]+)=(.*)$/.exec(argument) ?? [];
    if (!flag.startsWith("-")) {
      names.push(argument);
      passedOn.push(argument);
      continue;
    }
    const takesValue = WITH_VALUE.includes(flag);
    if (!takesValue && !FLAGS.includes(flag)) throw unknownOption(flag);
    const value = takesValue ? inline ?? rest.shift() : inline;
    if (takesValue && !value) throw new StackError("USAGE", `${flag} requires a value.`);
    flags.add(flag);
    if (value !== undefined) values[flag] = value;
    if (!NOT_PASSED_ON.includes(flag)) {
      passedOn.push(argument, ...(inline === undefined && value !== undefined ? [value] : []));
    }
  }
  const remote = values["--remote"] ?? values["--project-ref"];
  return {
    help: flags.has("--help") || flags.has("-h"),
    dryRun: flags.has("--dry-run"),
    names,
    workdir: values["--workdir"],
    remote: remote === undefined ? undefined : checkRemote(remote),
    importMap: values["--import-map"],
    noVerifyJwt: flags.has("--no-verify-jwt"),
    prune: flags.has("--prune"),
    passedOn,
  };
}
