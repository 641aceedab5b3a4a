/**
 * The options of a command line.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackError } from "../stack_error.ts";

/** The kinds of options: `flag` takes no value, `value` takes one, `list` takes one and may be repeated. */
export type FlagKind = "flag" | "value" | "list";

/** The options that were passed, by name: the values of each, none for a flag. */
export type Flags = ReadonlyMap<string, readonly string[]>;

/**
 * Reads options. `--name value` and `--name=value` are the same; `-h` is `--help`.
 *
 * @param known Each option, with its leading dashes.
 * @throws {StackError} `USAGE`, if an option is unknown, repeated or without its value, or if an argument does not begin with a dash.
 */
export function readFlags(args: readonly string[], known: Readonly<Record<string, FlagKind>>): Flags {
  const found = new Map<string, string[]>();
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, name = argument, inline] = /^(--[^=]+)=(.*)$/s.exec(argument) ?? [];
    const flag = name === "-h" ? "--help" : name;
    const kind = Object.hasOwn(known, flag) ? known[flag] : undefined;
    if (kind === undefined) {
      if (!argument.startsWith("-")) throw new StackError("USAGE", `Unknown argument ${JSON.stringify(argument)}.`);
      const nearest = nearestName(flag, Object.keys(known), 4);
      const hint = nearest ? `did you mean ${nearest}?` : "--help lists the options.";
      throw new StackError("USAGE", `Unknown option ${flag}: ${hint}`);
    }
    if (kind === "flag" && inline !== undefined) throw new StackError("USAGE", `${flag} takes no value.`);
    const values = found.get(flag) ?? [];
    if (kind === "value" && values.length > 0) throw new StackError("USAGE", `${flag} is passed twice.`);
    if (kind !== "flag") {
      const value = inline ?? rest.shift();
      if (value === undefined || value === "") throw new StackError("USAGE", `${flag} requires a value.`);
      values.push(value);
    }
    found.set(flag, values);
  }
  return found;
}

/** Options that would take a key. */
const KEY_OPTION = /^--?(?:[a-z]+-)*(?:key|apikey|secret|token|password)(?:=|$)/i;
/** A secret key, an access token of the CLI, or a JWT, wherever it is in an argument. */
const KEY_VALUE = /sb_secret_|sbp_[\da-f]{8}|(?<![\w-])eyJ[\w-]{8,}\./;

/**
 * Refuses arguments that contain a key, or name an option for one. The error does not repeat them.
 *
 * @param instead The variable to set instead.
 * @throws {StackError} `USAGE`.
 */
export function requireNoKeys(args: readonly string[], instead: string): void {
  if (!args.some((argument) => KEY_OPTION.test(argument) || KEY_VALUE.test(argument))) return;
  throw new StackError("USAGE", `Every user of this machine can read arguments: set ${instead} instead.`);
}

/** The range of a number on the command line. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
  /** Accepts fractions. Default: false. */
  readonly fractions?: boolean;
  /** A valid value, for the error. */
  readonly example: number;
}

/**
 * Returns the number that an option has; `undefined` if it was not passed.
 *
 * @throws {StackError} `USAGE` if the value is not a number in the range.
 */
export function numberFlag(
  flags: Flags,
  name: string,
  { from, to, fractions = false, example }: NumberRange,
): number | undefined {
  const text = flags.get(name)?.[0];
  if (text === undefined) return undefined;
  const value = /^\d{1,9}(?:\.\d{1,6})?$/.test(text) ? Number(text) : NaN;
  if (value >= from && value <= to && (fractions || Number.isInteger(value))) return value;
  throw new StackError(
    "USAGE",
    `${name} must be ${fractions ? "a number" : "an integer"} from ${from} to ${to}, for example ${name} ${example}: ` +
      `got ${JSON.stringify(text)}.`,
  );
}

/**
 * Returns the origin that `--url` names; `undefined` if it was not passed. Keys are sent there: another machine needs
 * https.
 *
 * @throws {StackError} `USAGE`.
 */
export function originFlag(flags: Flags, name: string = "--url"): string | undefined {
  const text = flags.get(name)?.[0];
  if (text === undefined) return undefined;
  const fault = (reason: string) =>
    new StackError(
      "USAGE",
      `${name} must be the URL of a project, for example ${name} https://<ref>.supabase.co: ${reason}.`,
    );
  if (!URL.canParse(text)) throw fault(`got ${JSON.stringify(text)}`);
  const { protocol, hostname, username, password, pathname, search, hash, origin } = new URL(text);
  if (protocol !== "https:" && protocol !== "http:") throw fault("it is neither https nor http");
  if (username !== "" || password !== "") throw fault("it contains a user name or a password");
  if (pathname !== "/" || search !== "" || hash !== "") throw fault("it has a path; pass the origin only");
  if (protocol === "http:" && !isLoopback(hostname)) {
    throw fault("it is plain http, so that keys could be read on the way");
  }
  return origin;
}

/** Returns whether a host name is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
}
