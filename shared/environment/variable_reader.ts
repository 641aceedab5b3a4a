/**
 * The one reader of environment variables.
 *
 * @module
 */
import { nearestName } from "./nearest_name.ts";

/** Environment variables by name. A blank value counts as not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** One bad variable. */
export interface VariableIssue {
  /** The variable's name. */
  readonly path: string;
  /** Its value, where that may be shown, and the values it may have. */
  readonly message: string;
}

/** The part of a zod schema that a reader uses. */
export interface ValueSchema<T> {
  /** Checks a value. */
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly { readonly message: string }[] } };
}

/** Options for reading one variable. */
interface ReadOptions {
  /** True for a secret: spaces at its ends belong to it, and no message shows it. Default: false. */
  readonly secret?: boolean | undefined;
}

/** A variable that is set. */
interface SetVariable {
  readonly name: string;
  readonly raw: string;
}

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ["on", true],
  ["true", true],
  ["1", true],
  ["off", false],
  ["false", false],
  ["0", false],
]);

const SWITCH_VALUES = "must be on or off, true or false, 1 or 0";

/** Returns whether `schema` is that of a switch. */
function isSwitch(schema: ValueSchema<unknown>): boolean {
  return schema.safeParse(true).success && schema.safeParse(false).success;
}

const NUMBER = /^([+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?|Infinity)$/i;

/** Matches the values that no message shows: API keys, JWTs, URLs and logins. */
const SECRET = /^(eyJ|sb_)|:\/\/|@/;

/** Describes a value for a message: shortened, and hidden where it may be a secret. */
function describe(raw: string, secret = false): string {
  if (secret) return "is set";
  if (SECRET.test(raw)) return "is set to a value that may be secret";
  return raw.length > 40 ? `is a text of ${raw.length} characters` : `is ${JSON.stringify(raw)}`;
}

/** Yields the values that a text may stand for: itself, a number, a switch, a list, a name in another case. */
function* interpretations(raw: string): Generator<unknown> {
  yield raw;
  if (NUMBER.test(raw)) yield Number(raw);
  if (SWITCH.has(raw.toLowerCase())) yield SWITCH.get(raw.toLowerCase());
  yield raw.split(",").map((item) => item.trim());
  yield raw.toLowerCase();
}

/** The part of Node's `process` that is read here. */
interface NodeGlobals {
  readonly process?: { readonly env: Readonly<Record<string, string | undefined>> };
}

/** Returns the environment variables of this process, on Deno and on Node. */
export function processVariables(): Record<string, string> {
  if (typeof Deno !== "undefined") return Deno.env.toObject();
  const { process }: NodeGlobals = globalThis;
  const entries = Object.entries(process?.env ?? {});
  return Object.fromEntries(entries.flatMap(([name, value]) => value === undefined ? [] : [[name, value]]));
}

/**
 * Reads variables and collects what is wrong with them, so that one error can list every bad variable.
 *
 * Methods take a name, or names of which the first that is set counts.
 */
export class VariableReader {
  /** The issues so far, in the order of reading. */
  readonly issues: VariableIssue[] = [];
  readonly #variables: Variables;

  /** @param variables Default: the variables of this process. */
  constructor(variables: Variables = processVariables()) {
    this.#variables = variables;
  }

  /** Returns the names of the variables that begin with `prefix`, blank ones included. */
  namesWith(prefix: string): string[] {
    return Object.keys(this.#variables).filter((name) => name.startsWith(prefix));
  }

  /** Returns the first of `names` that is set, with its value. */
  find(names: string | readonly string[], { secret }: ReadOptions = {}): SetVariable | undefined {
    for (const name of typeof names === "string" ? [names] : names) {
      const raw = secret ? this.#variables[name] : this.#variables[name]?.trim();
      if (raw !== undefined && raw !== "") return { name, raw };
    }
    return undefined;
  }

  /** Returns the text of a variable, or `undefined` if it is not set. */
  text(names: string | readonly string[], options?: ReadOptions): string | undefined {
    return this.find(names, options)?.raw;
  }

  /**
   * Returns the value that the text of a variable stands for under a schema: the text, a number, a switch or a list.
   * Returns `undefined` if the variable is not set or bad.
   *
   * @param schemaOf Returns the schema. It is called only for a variable that is set: schemas take time to create, which a
   * cold start would wait for.
   */
  value<T>(names: string | readonly string[], schemaOf: () => ValueSchema<T>, options?: ReadOptions): T | undefined {
    const found = this.find(names, options);
    if (!found) return undefined;
    const schema = schemaOf();
    let reason: string | undefined;
    for (const value of interpretations(found.raw)) {
      const result = schema.safeParse(value);
      if (result.success) return result.data;
      reason ??= result.error.issues[0]?.message;
    }
    this.reject(found, isSwitch(schema) ? SWITCH_VALUES : reason ?? "must have another value", options);
    return undefined;
  }

  /** Returns the value of a switch: `on`, `true`, `1`, `off`, `false` or `0`. */
  switch(names: string | readonly string[]): boolean | undefined {
    const found = this.find(names);
    const value = found && SWITCH.get(found.raw.toLowerCase());
    if (found && value === undefined) this.reject(found, SWITCH_VALUES);
    return value;
  }

  /** Returns the one of `choices` that a variable names, in any case. */
  choice<Choice extends string>(
    names: string | readonly string[],
    choices: readonly Choice[],
  ): Choice | undefined {
    const found = this.find(names);
    const chosen = found && choices.find((choice) => choice === found.raw.toLowerCase());
    if (found && !chosen) this.reject(found, `must be one of ${choices.join(", ")}`);
    return chosen;
  }

  /** Adds an issue: the value of a variable, where it may be shown, and `reason`. */
  reject({ name, raw }: SetVariable, reason: string, { secret }: ReadOptions = {}): void {
    this.issues.push({ path: name, message: `${describe(raw, secret)}, ${reason}` });
  }

  /** Adds an issue for each variable that begins with `prefix` and is not among `known`, with a suggestion. */
  rejectUnknown(prefix: string, known: readonly string[]): void {
    for (const path of this.namesWith(prefix)) {
      if (known.includes(path)) continue;
      const suggestion = nearestName(path.toUpperCase(), known);
      this.issues.push({ path, message: `is not a known ${prefix}* variable. Did you mean ${suggestion}?` });
    }
  }
}
