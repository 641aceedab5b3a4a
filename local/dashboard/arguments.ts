/**
 * The command line of `deno task dashboard`.
 *
 * @module
 */
import { type FlagKind, numberFlag, originFlag, readFlags, requireNoKeys } from "../cli/flags.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** The arguments of `deno task dashboard`. */
export interface DashboardArguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** The origin of a hosted project. `undefined`: the local stack. */
  readonly url: string | undefined;
  /** The folder of the local project. `undefined`: the project of this file. */
  readonly project: string | undefined;
  /** The port of the local stack. `undefined`: the one that it listens on. */
  readonly stackPort: number | undefined;
  /** The function whose health routes are read. */
  readonly function: string;
  /** The port of the page. `undefined`: {@linkcode DASHBOARD_PORT}, or a free one. */
  readonly port: number | undefined;
}

/** The port of the page, unless it is taken. */
export const DASHBOARD_PORT = 54331;

/** The help text. */
export const HELP = `Usage: ${commandOf("dashboard")} [options]

Serves a page on this machine that shows the pools of every isolate of a project,
live: slots, waits, errors, retries and slow requests. It reads the health routes
of one function, at most every 2 s and only while the page is open.

  --url <url>          Hosted project, such as https://<ref>.supabase.co
                       (default: the local stack, which must be running)
  --function <name>    Function whose health routes are read (default: health)
  --port <port>        Port of the page; 0 for a free one (default: ${DASHBOARD_PORT},
                       or a free one if it is taken)
  --project <folder>   Folder of the local project (default: this one)
  --stack-port <port>  Port of the local stack (default: the one it listens on)
  --help               Print this

The secret key of a hosted project is read from SUPABASE_SECRET_KEY, or asked for.
It stays in this process: neither the page nor a URL contains it. Ctrl-C stops it.
The exit status is 0 then, 1 after an error, 2 for an invalid command line.
`;

const KNOWN: Readonly<Record<string, FlagKind>> = {
  "--url": "value",
  "--function": "value",
  "--port": "value",
  "--project": "value",
  "--stack-port": "value",
  "--help": "flag",
};

/**
 * Checks the name of a function.
 *
 * @throws {StackError} `USAGE`.
 */
export function functionName(name: string): string {
  if (/^[A-Za-z][\w-]{0,63}$/.test(name)) return name;
  throw new StackError(
    "USAGE",
    `--function must be the name of a function, for example --function budgets: got ${JSON.stringify(name)}.`,
  );
}

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE`.
 */
export function parseDashboardArguments(args: readonly string[]): DashboardArguments {
  requireNoKeys(args, "SUPABASE_SECRET_KEY");
  const flags = readFlags(args, KNOWN);
  const url = originFlag(flags);
  const local = ["--project", "--stack-port"].find((name) => flags.has(name));
  if (url !== undefined && local) {
    throw new StackError("USAGE", `${local} is for the local stack: leave it or --url out.`);
  }
  const port = { from: 0, to: 65_535, example: DASHBOARD_PORT };
  return {
    help: flags.has("--help"),
    url,
    project: flags.get("--project")?.[0],
    stackPort: numberFlag(flags, "--stack-port", { ...port, from: 1, example: 54321 }),
    function: functionName(flags.get("--function")?.[0] ?? "health"),
    port: numberFlag(flags, "--port", port),
  };
}
