/**
 * The command line of the local stack.
 *
 * @module
 */
import { resolve } from "node:path";
import { nearestName } from "../../shared/environment/mod.ts";
import { HOSTED_LIMITS, type Limits } from "../functions/limits.ts";
import { commandOf } from "../invocation.ts";
import { StackError } from "../stack_error.ts";

/** The arguments of `deno task dev`. */
export interface Arguments {
  /** Print the help text only. */
  readonly help: boolean;
  /** Delete data and keys first. */
  readonly reset: boolean;
  /** The port of the gateway; 0 for a free one. `undefined`: that of the project's configuration. */
  readonly port: number | undefined;
  /** The port of Postgres; 0 for a free one. `undefined`: the one after `port`, or that of the project's configuration. */
  readonly databasePort: number | undefined;
  /** Reload functions when their sources change. */
  readonly watch: boolean;
  /** The folder of the project. `undefined`: the project of this file. */
  readonly project: string | undefined;
  /** Print neither progress nor logs. */
  readonly quiet: boolean;
  /** More host names that requests may use. */
  readonly allowedHosts: readonly string[];
  /** The limits of the functions. `undefined`: none. */
  readonly limits: Limits | undefined;
  /** A file with secrets of the functions. */
  readonly envFile: string | undefined;
}

/** The help text. */
export const HELP = `Usage: ${commandOf("dev")} [options]

Runs Postgres, the Data API, Auth and the project's functions on this machine.

  --port <port>      Port of the gateway; 0 for a free one (default: that of config.toml, 54321)
  --db-port <port>   Port of Postgres; 0 for a free one (default: that of config.toml, 54322;
                     with --port, the one after it)
  --reset            Delete the local data and keys of the project first
  --project <folder> Folder of the project (default: this one)
  --no-watch         Do not reload functions when their sources change
  --env-file <file>  File with secrets of the functions, beside those below
  --allow-host <host>  Accept requests to this name as well, such as 10.0.2.2
                     (Android emulator) or host.docker.internal; repeatable
  --limits[=<plan>]  Stop functions at the limits of hosted projects: 256 MB,
                     2 s of CPU time, 150 s (free) or 400 s (paid) of wall
                     clock, 150 s until a response begins (default plan: free)
  --quiet            Print neither progress nor logs
  --help             Print this

The project is read as the Supabase CLI reads it: supabase/config.toml, the
migrations and seeds, and supabase/functions/<name>, each with its own deno.json.
Functions without a table in config.toml have the defaults: they require a JWT.
Secrets come from [edge_runtime.secrets] in config.toml, then from .env.local,
supabase/.env.local, supabase/functions/.env and .env.local; later ones win.
Realtime and Supabase.ai are not part of the local stack.

Ctrl-C stops it; a second Ctrl-C stops it at once.
`;

const FLAGS = [
  "--help",
  "--reset",
  "--port",
  "--db-port",
  "--project",
  "--no-watch",
  "--quiet",
  "--env-file",
  "--allow-host",
  "--limits",
];
const WITH_VALUE = ["--port", "--db-port", "--project", "--env-file", "--allow-host", "--limits"];
const MAX_PORT = 65_535;

function unknown(argument: string): StackError {
  const nearest = nearestName(argument, FLAGS, 4);
  const hint = nearest ? `did you mean ${nearest}?` : "--help lists the options.";
  return new StackError("USAGE", `Unknown option ${argument}: ${hint}`);
}

function port(flag: string, value: string | undefined): number {
  const number = value !== undefined && /^\d{1,5}$/.test(value) ? Number(value) : NaN;
  if (!(number <= MAX_PORT)) {
    const found = value === undefined ? "the value is missing" : `got ${JSON.stringify(value)}`;
    throw new StackError("USAGE", `${flag} must be a port from 0 to ${MAX_PORT}, for example ${flag} 54321: ${found}.`);
  }
  return number;
}

function limitsOf(plan: string): Limits {
  if (plan !== "free" && plan !== "paid") {
    throw new StackError(
      "USAGE",
      `--limits must be free or paid, for example --limits=paid: got ${JSON.stringify(plan)}.`,
    );
  }
  return HOSTED_LIMITS[plan];
}

function host(value: string | undefined): string {
  if (!value || !/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(value)) {
    throw new StackError(
      "USAGE",
      `--allow-host must be a name or an address, for example --allow-host 10.0.2.2: ` +
        (value ? `got ${JSON.stringify(value)}.` : "the value is missing."),
    );
  }
  return value;
}

/** Returns the path of a file, absolute. */
function file(value: string | undefined): string {
  if (!value) {
    throw new StackError(
      "USAGE",
      "--env-file must be a file, for example --env-file .env.local: the value is missing.",
    );
  }
  return resolve(value);
}

function folder(value: string | undefined): string {
  if (!value) {
    throw new StackError("USAGE", "--project must be a folder, for example --project ../shop: the value is missing.");
  }
  return value;
}

/**
 * Parses the arguments of the command line.
 *
 * @throws {StackError} `USAGE`.
 */
export function parseArguments(args: readonly string[]): Arguments {
  const result = {
    help: false,
    reset: false,
    port: undefined as number | undefined,
    databasePort: undefined as number | undefined,
    watch: true,
    quiet: false,
    project: undefined as string | undefined,
    allowedHosts: [] as string[],
    limits: undefined as Limits | undefined,
    envFile: undefined as string | undefined,
  };
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, flag = argument, inline] = /^(--[^=]+)=(.*)$/.exec(argument) ?? [];
    const takesValue = WITH_VALUE.includes(flag);
    if (inline !== undefined && !takesValue && FLAGS.includes(flag)) {
      throw new StackError("USAGE", `${flag} takes no value.`);
    }
    if (flag === "--help" || flag === "-h") result.help = true;
    else if (flag === "--reset") result.reset = true;
    else if (flag === "--port") result.port = port(flag, inline ?? rest.shift());
    else if (flag === "--db-port") result.databasePort = port(flag, inline ?? rest.shift());
    else if (flag === "--project") result.project = folder(inline ?? rest.shift());
    else if (flag === "--env-file") result.envFile = file(inline ?? rest.shift());
    else if (flag === "--allow-host") result.allowedHosts.push(host(inline ?? rest.shift()));
    else if (flag === "--limits") result.limits = limitsOf(inline ?? "free");
    else if (flag === "--no-watch") result.watch = false;
    else if (flag === "--quiet") result.quiet = true;
    else throw unknown(flag);
  }
  if (result.port && result.port === result.databasePort) {
    throw new StackError("USAGE", `--port and --db-port are both ${result.port}: they must differ.`);
  }
  // Two stacks at a time need only one option each.
  if (result.port !== undefined && result.port < MAX_PORT) result.databasePort ??= result.port && result.port + 1;
  return result;
}
