/**
 * The command line of the local stack.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackFault } from "../fault.ts";

/** What was asked for. */
export interface Arguments {
  /** Only explain. */
  readonly help: boolean;
  /** Delete data and keys first. */
  readonly reset: boolean;
  /** The gateway's port; 0: one that is free. */
  readonly port: number;
  /** Postgres's port; 0: one that is free. */
  readonly databasePort: number;
  /** Load functions anew when their sources change. */
  readonly watch: boolean;
  /** The project's folder; `undefined`: the one that the stack is part of. */
  readonly project: string | undefined;
  /** Print neither progress nor what the parts print. */
  readonly quiet: boolean;
}

/** What `--help` prints. */
export const HELP = `Usage: deno task dev [options]

Runs Postgres, the Data API, Auth and the project's functions on this machine.

  --port <port>      Port of the gateway; 0 takes one that is free (default 54321)
  --db-port <port>   Port of Postgres; 0 takes one that is free (default 54322)
  --reset            Start afresh: delete this project's local data and keys
  --project <folder> Folder of the project (default: the one this is part of)
  --no-watch         Do not load functions anew when their sources change
  --quiet            Print neither progress nor logs
  --help             Print this

Ctrl-C ends it; a second one does not wait.
`;

const FLAGS = ["--help", "--reset", "--port", "--db-port", "--project", "--no-watch", "--quiet"];
const MAX_PORT = 65_535;

function unknown(argument: string): StackFault {
  const nearest = nearestName(argument, FLAGS, 4);
  const hint = nearest ? `did you mean ${nearest}?` : "--help lists the options.";
  return new StackFault("USAGE", `Unknown option ${argument}: ${hint}`);
}

function port(flag: string, value: string | undefined): number {
  const number = value !== undefined && /^\d{1,5}$/.test(value) ? Number(value) : NaN;
  if (!(number <= MAX_PORT)) {
    const found = value === undefined ? "nothing follows it" : `not ${JSON.stringify(value)}`;
    throw new StackFault("USAGE", `${flag} takes a port from 0 to ${MAX_PORT}, as in ${flag} 54321; ${found}.`);
  }
  return number;
}

function folder(value: string | undefined): string {
  if (!value) throw new StackFault("USAGE", "--project takes a folder, as in --project ../shop; nothing follows it.");
  return value;
}

/**
 * Reads the arguments of a command line.
 *
 * @throws {StackFault} `USAGE`.
 */
export function parseArguments(args: readonly string[]): Arguments {
  const result = {
    help: false,
    reset: false,
    port: 54321,
    databasePort: 54322,
    watch: true,
    quiet: false,
    project: undefined as string | undefined,
  };
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, flag = argument, inline] = /^(--[^=]+)=(.*)$/.exec(argument) ?? [];
    const takesValue = flag === "--port" || flag === "--db-port" || flag === "--project";
    if (inline !== undefined && !takesValue && FLAGS.includes(flag)) {
      throw new StackFault("USAGE", `${flag} takes no value.`);
    }
    if (flag === "--help" || flag === "-h") result.help = true;
    else if (flag === "--reset") result.reset = true;
    else if (flag === "--port") result.port = port(flag, inline ?? rest.shift());
    else if (flag === "--db-port") result.databasePort = port(flag, inline ?? rest.shift());
    else if (flag === "--project") result.project = folder(inline ?? rest.shift());
    else if (flag === "--no-watch") result.watch = false;
    else if (flag === "--quiet") result.quiet = true;
    else throw unknown(flag);
  }
  if (result.port !== 0 && result.port === result.databasePort) {
    throw new StackFault("USAGE", `--port and --db-port are both ${result.port}: they must differ.`);
  }
  return result;
}
