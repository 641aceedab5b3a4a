/**
 * Values of the global `Temporal`, where the runtime or a polyfill has it. They are known by their tag alone.
 *
 * @module
 */

/** The part of a Temporal value that is used. */
interface TemporalValue {
  toString(options?: { calendarName: "never" }): string;
}

/** `Temporal.Duration`. */
export interface Duration {
  readonly years: number;
  readonly months: number;
  readonly weeks: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  readonly milliseconds: number;
  readonly microseconds: number;
  readonly nanoseconds: number;
}

const PREFIX = "Temporal.";

/** Returns the class of a Temporal value, e.g. `PlainDate`. */
export function temporalKind(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const tag: unknown = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return typeof tag === "string" && tag.startsWith(PREFIX) ? tag.slice(PREFIX.length) : undefined;
}

/** ISO 8601 writes years outside of 0 to 9999 with a sign and six digits. */
const LONG_YEAR = /^([+-])(\d{6})(.*)$/s;

/** `Temporal.ZonedDateTime`. */
interface ZonedDateTime {
  readonly offset: string;
  toPlainDateTime(): TemporalValue;
}

/** Returns the ISO form without annotations in brackets, which Postgres does not read. */
function plainText(value: object, kind: string): string {
  if (kind !== "ZonedDateTime") return (value as TemporalValue).toString({ calendarName: "never" });
  // The ISO form rounds the offset to minutes, which in old times had seconds.
  const { offset } = value as ZonedDateTime;
  return (value as ZonedDateTime).toPlainDateTime().toString({ calendarName: "never" }) + offset;
}

/** Returns the ISO form of a Temporal value; `undefined` for any other value. */
export function temporalText(value: unknown): string | undefined {
  return temporalKind(value) === undefined ? undefined : (value as TemporalValue).toString();
}

/**
 * Returns the text that Postgres reads as the date or time that a Temporal value is.
 *
 * @param kinds The classes that the type takes.
 */
export function temporalInput(value: unknown, kinds: readonly string[]): string | undefined {
  const kind = temporalKind(value);
  if (kind === undefined || !kinds.includes(kind)) return undefined;
  const text = plainText(value as object, kind);
  const long = LONG_YEAR.exec(text);
  if (!long) return text.startsWith("0000-") ? `0001${text.slice(4)} BC` : text;
  const [, sign, digits, rest = ""] = long;
  const year = Number(digits);
  return sign === "+" ? `${year}${rest}` : `${String(year + 1).padStart(4, "0")}${rest} BC`;
}
