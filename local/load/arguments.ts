/**
 * The command line of `deno task load`.
 *
 * @module
 */
import { type FlagKind, type Flags, numberFlag, originFlag, readFlags, requireNoKeys } from "../cli/flags.ts";
import { functionName } from "../dashboard/arguments.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** On whose behalf the requests are sent. */
export type Caller = "demo" | "none" | "secret" | "token";

/** The arguments of `deno task load`. */
export interface LoadArguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** The function. */
  readonly function: string;
  /** The path and query below the function: empty, or with a leading slash or question mark. */
  readonly path: string;
  readonly method: string;
  readonly body: string | undefined;
  /** More headers. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Requests per second, sent at fixed times. `undefined`: `concurrency` callers send as fast as they can. */
  readonly rps: number | undefined;
  /** The callers, or with `rps` the most requests in flight. */
  readonly concurrency: number;
  readonly seconds: number;
  /** The longest time for one response, in s. */
  readonly timeoutS: number;
  readonly user: Caller;
  /** The origin of another project. `undefined`: the local stack. */
  readonly url: string | undefined;
  /** The folder of the local project. `undefined`: the project of this file. */
  readonly project: string | undefined;
  /** The port of the local stack. `undefined`: the one that it listens on. */
  readonly stackPort: number | undefined;
}

/** The help text. */
export const HELP = `Usage: ${commandOf("load")} [options]

Sends load to a function of the local stack, and prints throughput, percentiles,
a histogram of the times, and the refusals by code.

  --function <name>    Function to call (default: budgets)
  --path <path>        Path and query below the function, such as /1 or ?limit=5
  --method <method>    HTTP method (default: GET, or POST with --body)
  --body <text>        Body of each request, sent as JSON
  --header <n: value>  Another header; repeatable
  --rps <n>            Requests per second, sent at fixed times whether or not
                       earlier ones have a response; times count from then
  --concurrency <n>    Callers, each sends its next request after a response
                       (default: 10); with --rps, most requests in flight (1000)
  --seconds <n>        Duration (default: 10)
  --timeout <s>        Longest time for one response (default: 30)
  --user <caller>      demo: a user that is signed up for this run and deleted
                       after it; none: the publishable key only; secret: the
                       secret key; token: the user of LOAD_TOKEN (default: demo,
                       or token or none with --url)
  --url <url>          Another project, such as https://<ref>.supabase.co; needs
                       --yes, and its key in SUPABASE_PUBLISHABLE_KEY
  --yes                Confirms load on the project of --url
  --project <folder>   Folder of the local project (default: this one)
  --stack-port <port>  Port of the local stack (default: the one it listens on)
  --help               Print this

Ctrl-C ends it and prints the summary so far. The exit status is 0 if at least
one response was successful, 1 if none was, 2 for an invalid command line, 130
after Ctrl-C.
`;

const KNOWN: Readonly<Record<string, FlagKind>> = {
  "--function": "value",
  "--path": "value",
  "--method": "value",
  "--body": "value",
  "--header": "list",
  "--rps": "value",
  "--concurrency": "value",
  "--seconds": "value",
  "--timeout": "value",
  "--user": "value",
  "--url": "value",
  "--yes": "flag",
  "--project": "value",
  "--stack-port": "value",
  "--help": "flag",
};

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const CALLERS: readonly Caller[] = ["demo", "none", "secret", "token"];
/** More sockets than this measure the machine, not the function. */
const MAX_CONCURRENCY = 5_000;

function usage(text: string): StackError {
  return new StackError("USAGE", text);
}

function headersOf(flags: Flags): [string, string][] {
  return (flags.get("--header") ?? []).map((text) => {
    const at = text.indexOf(":");
    const [name, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    try {
      if (at < 1) throw new TypeError("no name");
      new Headers([[name, value]]);
    } catch {
      throw usage(
        `--header must be a name and a value, for example --header "prefer: return=minimal": got ${
          JSON.stringify(text)
        }.`,
      );
    }
    if (/^(?:apikey|authorization)$/i.test(name)) {
      throw usage(`--header ${name} would show a key in the list of processes: use --user and its variables.`);
    }
    return [name, value];
  });
}

function pathOf(text: string | undefined, name: string): string {
  if (text === undefined) return "";
  const path = /^[/?]/.test(text) ? text : `/${text}`;
  const url = `http://localhost/functions/v1/${name}${path}`;
  // "/../../auth/v1" would be another part of the project.
  const prefix = `/functions/v1/${name}`;
  const pathname = URL.canParse(url) ? new URL(url).pathname : "";
  if ((pathname === prefix || pathname.startsWith(`${prefix}/`)) && !path.includes("#")) return path;
  throw usage(
    `--path must be a path below the function, for example --path "/1?limit=5": got ${JSON.stringify(text)}.`,
  );
}

function callerOf(flags: Flags, url: string | undefined, hasToken: boolean): Caller {
  const text = flags.get("--user")?.[0];
  if (text === undefined) return url === undefined ? "demo" : hasToken ? "token" : "none";
  const caller = CALLERS.find((one) => one === text);
  if (caller === undefined) throw usage(`--user must be one of ${CALLERS.join(", ")}: got ${JSON.stringify(text)}.`);
  if (url !== undefined && (caller === "demo" || caller === "secret")) {
    throw usage(`--user ${caller} is for the local stack: with --url, use token and set LOAD_TOKEN, or none.`);
  }
  if (caller === "token" && !hasToken) throw usage("--user token needs the access token of a user in LOAD_TOKEN.");
  return caller;
}

/**
 * Parses the arguments of the command line.
 *
 * @param hasToken True if `LOAD_TOKEN` is set.
 * @throws {StackError} `USAGE`.
 */
export function parseLoadArguments(args: readonly string[], hasToken: boolean = false): LoadArguments {
  requireNoKeys(args, "SUPABASE_PUBLISHABLE_KEY, and LOAD_TOKEN for the token of a user,");
  const flags = readFlags(args, KNOWN);
  const value = (name: string) => flags.get(name)?.[0];
  const url = originFlag(flags);
  if (url !== undefined && !flags.has("--yes") && !flags.has("--help")) {
    throw usage(`Load on ${url} may disturb its users and is billed to its project: pass --yes to confirm it.`);
  }
  const local = ["--project", "--stack-port"].find((name) => flags.has(name));
  if (url !== undefined && local) throw usage(`${local} is for the local stack: leave it or --url out.`);
  const name = functionName(value("--function") ?? "budgets");
  const body = value("--body");
  const method = (value("--method") ?? (body === undefined ? "GET" : "POST")).toUpperCase();
  if (!METHODS.includes(method)) {
    throw usage(`--method must be one of ${METHODS.join(", ")}: got ${JSON.stringify(method)}.`);
  }
  if (body !== undefined && (method === "GET" || method === "HEAD")) throw usage(`A ${method} request has no body.`);
  const rps = numberFlag(flags, "--rps", { from: 0.1, to: 50_000, fractions: true, example: 200 });
  const callers = numberFlag(flags, "--concurrency", { from: 1, to: MAX_CONCURRENCY, example: 10 });
  return {
    help: flags.has("--help"),
    function: name,
    path: pathOf(value("--path"), name),
    method,
    body,
    headers: headersOf(flags),
    rps,
    concurrency: callers ?? (rps === undefined ? 10 : 1_000),
    seconds: numberFlag(flags, "--seconds", { from: 0.1, to: 86_400, fractions: true, example: 10 }) ?? 10,
    timeoutS: numberFlag(flags, "--timeout", { from: 0.1, to: 600, fractions: true, example: 30 }) ?? 30,
    user: callerOf(flags, url, hasToken),
    url,
    project: value("--project"),
    stackPort: numberFlag(flags, "--stack-port", { from: 1, to: 65_535, example: 54321 }),
  };
}
