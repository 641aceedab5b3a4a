/**
 * Anything thrown, as it may be logged: without credentials, and without the values of users and rows.
 *
 * @module
 */
import { attemptsOf, codeOf, type FailedAttempt, memberOf, responseOf, textOf } from "../../resilience/mod.ts";
import { cut, redact, withoutEmails, withoutQuotes } from "./redact.ts";

/** One error of a chain. */
export interface ErrorSummary {
  /** The message. */
  readonly error: string;
  /** The name of its class, or the type of another thrown value. */
  readonly name: string;
  /** Its code; absent without one. */
  readonly code?: string;
}

/** A thrown value, described. */
export interface ErrorDescription extends ErrorSummary {
  /** The way to fix it, as Postgres or the Data API says; absent without one. */
  readonly hint?: string;
  /** The frames of the stack, without the message. */
  readonly stack?: string;
  /** The attempts of an operation that was retried, the earliest first and at most ten; absent for any other. */
  readonly attempts?: readonly FailedAttempt[];
  /** The errors behind it, the nearest first: its causes and the members of an `AggregateError`. */
  readonly causes?: readonly ErrorSummary[];
}

/** Maximum number of errors behind one. A chain may be endless. */
const MAX_CAUSES = 8;
const MAX_MESSAGE = 2_000;
const MAX_CAUSE_MESSAGE = 500;
const MAX_STACK = 4_000;
const MAX_LABEL = 100;

/**
 * SQLSTATE classes, and PostgREST's codes, whose messages quote names of the schema and settings, but no values.
 * Class 42 without syntax errors, which quote the statement.
 *
 * Source: PostgreSQL, appendix A "PostgreSQL Error Codes", and the messages in its source.
 */
const QUOTES_NAMES = /^(?:0[ALP8]|2[58BD]|3[DF]|4[04]|42(?!601|501)|5[34578]|F0|XX|PGRST(?!1))/;
/** Classes that functions raise themselves, and the beginnings of the messages that Postgres has for them. */
const RAISED_TOO = /^(?:23|42501)/;
const OF_POSTGRES =
  /^(?:duplicate key|null value in|insert or update on|update or delete on|new row |conflicting key|could not create|value for domain|domain |check constraint|no partition|permission denied|must be |role |only )/;
/** Classes whose messages quote values: data exceptions, syntax errors, PostgREST's errors of the request. */
const QUOTES_VALUES = /^(?:22|42601|PGRST1)/;
/** Five characters with a digit among them, or a code of PostgREST. */
const DATABASE_CODE = /^(?:(?=.{0,4}\d)[\dA-Z]{5}|PGRST[\dA-Z]{3})$/;

/** The function of Postgres that reports what PL/pgSQL raises. */
const RAISE_ROUTINE = "exec_stmt_raise";

/** The message of an error that a function of the database raised: it may hold any value of any row. */
const WITHHELD = "raised in the database; its text may hold values of rows: see the log of Postgres";

/** Errors of the engine that quote a value, or name it after a colon. */
const ENGINE_NAMES = new Set(["SyntaxError", "RangeError", "URIError", "DataCloneError", "InvalidCharacterError"]);
/** The beginnings of type errors that quote a value. Others quote the name of a member, which helps. */
const QUOTING_TYPE_ERROR =
  /^(?:Invalid URL|Failed to (?:parse|construct|execute)|Invalid header|Headers?\b|Cannot convert)/;

/** An error of the engine whose name became a part of a text. */
const FLATTENED = /^(?:SyntaxError|RangeError|URIError): /;

/** The beginnings of JSON and HTML. */
const BODY = /^\s*(?:[{["]|<[!?\w])/;

/** The texts of the engine around a value that it does not quote. */
const UNQUOTED = [["Cannot convert ", " to a BigInt"], ["Value ", " out of range"]] as const;

/** Returns the message of an error of the engine without the value that it is about. */
function withoutEngineValue(message: string): string {
  const quoted = withoutQuotes(message);
  for (const [before, after] of UNQUOTED) {
    if (!quoted.startsWith(before)) continue;
    const at = quoted.lastIndexOf(after);
    return `${before}...${at < 0 ? "" : quoted.slice(at)}`;
  }
  const colon = /^(?:Invalid|Incorrect)\b/.test(quoted) ? quoted.indexOf(":") : -1;
  return colon < 0 ? quoted : `${quoted.slice(0, colon)}: ...`;
}

/** Returns whether an error has a member that errors of Postgres or the Data API have. An application has codes, too. */
function isOfDatabase(error: unknown): boolean {
  return typeof error === "object" && error !== null && ["severity", "details", "hint"].some((key) => key in error);
}

/**
 * Returns the message of an error of the database without the values of rows and statements.
 *
 * @param code Its SQLSTATE, or its code of PostgREST.
 */
export function withoutRowValues(message: string, code: string): string {
  if (QUOTES_VALUES.test(code)) return withoutQuotes(message).replace(/\b0x[\da-f]+/gi, "0x...");
  const shown = RAISED_TOO.test(code) ? OF_POSTGRES.test(message) : QUOTES_NAMES.test(code);
  return shown ? message : WITHHELD;
}

/** Returns the message of an error of the database as it may be logged. */
function databaseMessage(message: string, code: string, error: unknown): string {
  if (!isOfDatabase(error)) return message;
  return textOf(error, "routine") === RAISE_ROUTINE ? WITHHELD : withoutRowValues(message, code);
}

/** Returns whether the hint of an error may hold values: what raises a message raises its hint. */
function hidesHint(error: unknown): boolean {
  const code = codeOf(error) ?? "";
  return DATABASE_CODE.test(code) && isOfDatabase(error) && !QUOTES_NAMES.test(code);
}

/** The part of a path that a schema names, and not a key that a caller chose. */
const FIELD_NAME = /^[A-Za-z_]\w{0,39}$/;

/** Returns where a value did not match a schema of zod, and why; its message may hold what the caller sent. */
function describeIssues(issues: readonly unknown[]): string {
  const shown = issues.slice(0, 5).map((issue) => {
    const path = memberOf(issue, "path");
    const parts = Array.isArray(path) ? path.slice(0, 8) : [];
    const names = parts.map((part) => typeof part === "number" || FIELD_NAME.test(String(part)) ? String(part) : "...");
    return `${textOf(issue, "code") ?? "invalid"} at ${names.join(".") || "the root"}`;
  });
  return `${issues.length} issue(s): ${shown.join(", ")}`;
}

/** Returns the code of an error as text. */
function shownCode(error: unknown, clean: Clean): string | undefined {
  const code = memberOf(error, "code");
  return typeof code === "string" || typeof code === "number" ? clean(String(code), MAX_LABEL) : undefined;
}

/** Cleans a text and cuts it. */
type Clean = (text: string, maxLength: number) => string;

function kindOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return thrown === null ? "null" : typeof thrown;
  return textOf(memberOf(thrown, "constructor"), "name") ?? "object";
}

/** Returns the message of what was thrown, without values. */
function shownMessage(thrown: unknown, clean: Clean, maxLength: number): string {
  if (typeof thrown === "string") return clean(thrown, maxLength);
  const message = memberOf(thrown, "message");
  if (message === undefined) return `a value of type ${clean(kindOf(thrown), MAX_LABEL)} was thrown`;
  const issues = memberOf(thrown, "issues");
  const name = textOf(thrown, "name") ?? "";
  if (Array.isArray(issues) && name.endsWith("ZodError")) return describeIssues(issues);
  // A longer text is cut before anything else looks at it.
  const text = cut(String(message));
  const code = codeOf(thrown) ?? "";
  // Clients use a body that they cannot read as the message: the page of a proxy, or rows that break off.
  if (code === "" && (isOfDatabase(thrown) || responseOf(thrown) !== undefined) && BODY.test(text)) {
    return `a body that is not an error, of ${String(message).length} characters`;
  }
  if (DATABASE_CODE.test(code)) return clean(databaseMessage(text, code, thrown), maxLength);
  if (ENGINE_NAMES.has(name) || (name === "TypeError" && QUOTING_TYPE_ERROR.test(text))) {
    return clean(withoutEngineValue(text), maxLength);
  }
  // Clients flatten an error to its text, and libraries put it into their own.
  if (FLATTENED.test(text) || text.includes("is not valid JSON")) return clean(withoutQuotes(text), maxLength);
  return clean(text, maxLength);
}

function summarize(thrown: unknown, clean: Clean, maxLength: number): ErrorSummary {
  const name = thrown instanceof Error ? clean(String(memberOf(thrown, "name")), MAX_LABEL) : typeof thrown;
  const code = shownCode(thrown, clean);
  return { error: shownMessage(thrown, clean, maxLength), name, ...(code === undefined ? {} : { code }) };
}

/** Cleans texts of errors in data, which have no secrets of their own. */
const cleanAny: Clean = (text, maxLength) => cut(withoutEmails(redact(text)), maxLength);

/** Returns whether a value is an error, or an object that a client of the database has in its place. */
export function isErrorLike(value: object): boolean {
  if (value instanceof Error) return true;
  return isOfDatabase(value) && textOf(value, "message") !== undefined && DATABASE_CODE.test(codeOf(value) ?? "");
}

/** Returns name and message of an error on one line, without credentials and the values of users and rows. */
export function errorText(thrown: object, maxLength: number): string {
  const { name, code, error } = summarize(thrown, cleanAny, maxLength);
  return cut(`${thrown instanceof Error ? name : code}: ${error}`, maxLength);
}

/** A frame: `at name (address:line:column)`, `at address:line:column`, `at async Promise.all (index 0)`. */
const FRAME =
  /^ {4}at (?:async )?(?:[^()]{1,300} \()?(?:[^()?#\s]{1,300}:\d{1,9}:\d{1,9}|<anonymous>|native|index \d{1,9})\)?$/;

/** The longest message whose stack is read, in characters: at the first reading the engine copies the message into it. */
const MAX_STACK_MESSAGE = 100_000;

/** Returns the frames of a stack. Its first lines repeat the message, which may look like anything. */
function framesOf(error: Error): string | undefined {
  const message = textOf(error, "message") ?? "";
  const stack = message.length > MAX_STACK_MESSAGE ? undefined : textOf(error, "stack");
  if (stack === undefined) return undefined;
  const header = `${textOf(error, "name")}: ${message}`;
  const frames = cut(stack.startsWith(header) ? stack.slice(header.length) : stack, MAX_STACK).split("\n")
    .filter((line) => FRAME.test(line));
  return frames.length === 0 ? undefined : frames.join("\n");
}

/** Returns the errors behind `thrown`, the nearest first, each once. */
function errorsBehind(thrown: unknown): unknown[] {
  const found: unknown[] = [thrown];
  for (let next = 0; next < found.length && found.length <= MAX_CAUSES; next++) {
    const cause = memberOf(found[next], "cause");
    const errors = memberOf(found[next], "errors");
    for (const inner of [cause, ...(Array.isArray(errors) ? errors.slice(0, MAX_CAUSES) : [])]) {
      if (inner !== undefined && inner !== null && !found.includes(inner)) found.push(inner);
    }
  }
  return found.slice(1, MAX_CAUSES + 1);
}

/**
 * Describes what was thrown for a line of the log: names, codes, messages, hint and frames, each bounded in length, and
 * no other member. Never throws.
 *
 * - Messages and stacks hold no credentials, no queries of URLs, and no email addresses.
 * - A message of Postgres or the Data API keeps names of the schema; values that it quotes are removed, and what a
 *   function raises is withheld. `detail` and `details` hold values of rows and are left out.
 * - A message of the engine or of zod that quotes its input names no value.
 * - The text of any other error is shown: what an application writes into its own errors is its decision.
 *
 * @param secrets Values to remove, besides texts that look like credentials. Default: none.
 */
export function describeError(thrown: unknown, secrets: Iterable<string> = []): ErrorDescription {
  try {
    const known = [...secrets].map(String);
    const clean: Clean = (text, maxLength) => cut(withoutEmails(redact(text, known)), maxLength);
    const summary = summarize(thrown, clean, MAX_MESSAGE);
    const hint = hidesHint(thrown) ? undefined : textOf(thrown, "hint");
    const stack = thrown instanceof Error ? framesOf(thrown) : undefined;
    const attempts = attemptsOf(thrown);
    const causes = errorsBehind(thrown).map((cause) => summarize(cause, clean, MAX_CAUSE_MESSAGE));
    return {
      ...summary,
      ...(hint === undefined ? {} : { hint: clean(hint, MAX_CAUSE_MESSAGE) }),
      ...(stack === undefined ? {} : { stack }),
      ...(attempts.length === 0 ? {} : { attempts }),
      ...(causes.length === 0 ? {} : { causes }),
    };
  } catch {
    // Anything can be thrown: getters may throw, and so may conversions to text.
    return { error: "a thrown value without a text", name: typeof thrown };
  }
}
