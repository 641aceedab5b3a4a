/**
 * The command line of `init`.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** The arguments of `deno task init`. */
export interface InitArguments {
  readonly help: boolean;
  /** The folder of the project. Default: the current folder. */
  readonly project: string;
  /** Write without asking. */
  readonly yes: boolean;
  /** Write nothing. */
  readonly dryRun: boolean;
  /** Write although there are uncommitted changes. */
  readonly force: boolean;
  /** Rewrite functions. */
  readonly migrate: boolean;
  /** The functions to rewrite; empty for all of them. */
  readonly only: readonly string[];
  /** Print the report as JSON. */
  readonly json: boolean;
  /** The specifier that the import maps to. `undefined`: the package. */
  readonly target: string | undefined;
  /** Copy the library into the project, and import it from there. */
  readonly vendor: boolean;
}

/** The help text. */
export const HELP = `Usage: ${commandOf("init")} [<project>] [options]

Prepares an existing Supabase project for the pool: an import in each function's import map, a health function,
tables in supabase/config.toml for functions without one, the migration that lets isolates report to the fleet, and
.local/ in .gitignore. It shows the changes as a diff and asks before it writes. Then it lists, per function, the lines
that create clients and what to change.

  <project>             Folder of the project, which contains supabase/ (default: the current folder)
  --migrate             Also rewrite the functions, where the result is certain; the rest is listed with the reason
  --only <name,...>     Rewrite these functions only; implies --migrate
  --dry-run             Show the changes and the list, write nothing
  --yes                 Write without asking; required where no terminal is attached
  --force               Write although git has uncommitted changes in supabase/
  --vendor              Copy the library to supabase/functions/_shared/supabase-pool, and import it from there
  --target <specifier>  What the import maps to (default: the npm package)
  --json                Print the changes and the list as JSON; writes nothing without --yes
  --help                Print this

Exit status: 0 if the project is prepared, 1 if it could not be or the question was answered with no, 2 for an invalid
command line. A second run changes nothing.
`;

const FLAGS = ["--help", "--yes", "--dry-run", "--force", "--migrate", "--only", "--json", "--target", "--vendor"];

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE`.
 */
export function parseInitArguments(args: readonly string[]): InitArguments {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const folders: string[] = [];
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (!argument.startsWith("-") || argument === "-") {
      folders.push(argument);
      continue;
    }
    const [, flag = argument, inline] = /^(--[^=]+)=(.*)$/.exec(argument) ?? [];
    if (flag === "-h" || flag === "-y") flags.add(flag === "-h" ? "--help" : "--yes");
    else if (!FLAGS.includes(flag)) {
      const nearest = nearestName(flag, FLAGS, 4);
      throw new StackError(
        "USAGE",
        `Unknown option ${flag}: ${nearest ? `did you mean ${nearest}?` : "--help lists the options."}`,
      );
    } else if (flag === "--only" || flag === "--target") {
      const value = inline ?? rest.shift();
      if (!value || value.startsWith("--")) {
        const sample = flag === "--only" ? "hello,orders" : "../vendor/supabase-pool.js";
        throw new StackError("USAGE", `${flag} needs a value, for example ${flag} ${sample}.`);
      }
      values.set(flag, value);
    } else if (inline !== undefined) throw new StackError("USAGE", `${flag} takes no value.`);
    else flags.add(flag);
  }
  if (folders.length > 1) {
    throw new StackError(
      "USAGE",
      `Pass one folder: got ${folders.map((folder) => JSON.stringify(folder)).join(" and ")}.`,
    );
  }
  if (flags.has("--yes") && flags.has("--dry-run")) {
    throw new StackError("USAGE", "--yes and --dry-run exclude each other: pass one of them.");
  }
  if (flags.has("--vendor") && values.has("--target")) {
    throw new StackError("USAGE", "--vendor and --target exclude each other: pass one of them.");
  }
  const only = values.get("--only")?.split(",").map((name) => name.trim()).filter((name) => name !== "") ?? [];
  return {
    help: flags.has("--help"),
    project: folders[0] ?? ".",
    yes: flags.has("--yes"),
    dryRun: flags.has("--dry-run"),
    force: flags.has("--force"),
    migrate: flags.has("--migrate") || only.length > 0,
    only,
    json: flags.has("--json"),
    target: values.get("--target"),
    vendor: flags.has("--vendor"),
  };
}
