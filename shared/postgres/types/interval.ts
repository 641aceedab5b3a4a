/**
 * `interval`.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { int32At } from "../wire/bytes.ts";
import { readBigInt64, uint32At } from "./numbers.ts";
import { type Duration, temporalKind } from "./temporal.ts";
import { inputText } from "./text.ts";
import { checkSize, DecodeError, valueError } from "./value_error.ts";

/** The parts of an interval. A part that is zero is absent, as `pg` has it. */
export interface IntervalParts {
  /** The number of years. */
  years?: number;
  /** The number of months. */
  months?: number;
  /** The number of days. */
  days?: number;
  /** The number of hours. */
  hours?: number;
  /** The number of minutes. */
  minutes?: number;
  /** The number of seconds. */
  seconds?: number;
  /** The number of milliseconds, with microseconds as a fraction. */
  milliseconds?: number;
}

const PARTS = ["years", "months", "days", "hours", "minutes", "seconds", "milliseconds"] as const;

/** An interval, with the members that `pg` gives it. */
export class PostgresInterval implements IntervalParts {
  /** The number of years. */
  declare years?: number;
  /** The number of months. */
  declare months?: number;
  /** The number of days. */
  declare days?: number;
  /** The number of hours. */
  declare hours?: number;
  /** The number of minutes. */
  declare minutes?: number;
  /** The number of seconds. */
  declare seconds?: number;
  /** The number of milliseconds, with microseconds as a fraction. */
  declare milliseconds?: number;

  /**
   * Creates the interval.
   *
   * @param parts The parts. Default: none, an interval of zero.
   */
  constructor(parts: IntervalParts = {}) {
    for (const part of PARTS) if (parts[part]) this[part] = parts[part];
  }

  /** Returns the text that Postgres reads. */
  toPostgres(): string {
    return intervalText(this);
  }

  /** Returns the form of ISO 8601, e.g. `P1Y2M3DT4H5M6.7S`. */
  toISOString(): string {
    const { years = 0, months = 0, days = 0, hours = 0, minutes = 0 } = this;
    return `P${years}Y${months}M${days}DT${hours}H${minutes}M${secondsText(this)}S`;
  }

  /** Returns the form of ISO 8601. */
  toISO(): string {
    return this.toISOString();
  }
}

/** Returns the seconds with their fraction, exact to the microsecond. */
function secondsText({ seconds = 0, milliseconds = 0 }: IntervalParts): string {
  const micros = Math.round(seconds * 1_000_000 + milliseconds * 1000);
  const whole = Math.trunc(micros / 1_000_000);
  const fraction = Math.abs(micros - whole * 1_000_000);
  const sign = micros < 0 && whole === 0 ? "-" : "";
  return fraction === 0
    ? String(whole)
    : `${sign}${whole}.${String(fraction).padStart(6, "0").replace(/(?<!0)0+$/, "")}`;
}

/** Returns the text that Postgres reads under any IntervalStyle: each part with its own sign. */
function intervalText(parts: IntervalParts): string {
  const words: string[] = [];
  for (const part of ["years", "months", "days", "hours", "minutes"] as const) {
    if (parts[part]) words.push(`${parts[part]} ${part}`);
  }
  const seconds = secondsText(parts);
  if (seconds !== "0" || words.length === 0) words.push(`${seconds} seconds`);
  // In the style sql_standard a lone sign in front counts for all parts.
  const negative = words[0]?.startsWith("-");
  return words.map((word) => negative && !word.startsWith("-") ? `+${word}` : word).join(" ");
}

function fromTotals(months: number, days: number, micros: number): PostgresInterval {
  const seconds = Math.trunc(micros / 1_000_000);
  return new PostgresInterval({
    years: Math.trunc(months / 12),
    months: months % 12,
    days,
    hours: Math.trunc(seconds / 3600),
    minutes: Math.trunc(seconds / 60) % 60,
    seconds: seconds % 60,
    milliseconds: (micros - seconds * 1_000_000) / 1000,
  });
}

/** Beyond 2^53 microseconds, which are 285 years, only the hours are large. */
function fromLongTotals(months: number, days: number, micros: bigint): PostgresInterval {
  const hours = micros / 3_600_000_000n;
  const rest = fromTotals(months, days, Number(micros - hours * 3_600_000_000n));
  return new PostgresInterval({ ...rest, hours: Number(hours) });
}

function decodeBinary(bytes: Uint8Array, start: number, end: number): unknown {
  checkSize(start, end, 16);
  const months = int32At(bytes, start + 12);
  const days = int32At(bytes, start + 8);
  const high = int32At(bytes, start);
  if (months === 2_147_483_647 && days === months && high === months) return Infinity;
  if (months === -2_147_483_648 && days === months && high === months) return -Infinity;
  return high >= -2_097_152 && high < 2_097_152
    ? fromTotals(months, days, high * 4_294_967_296 + uint32At(bytes, start + 4))
    : fromLongTotals(months, days, readBigInt64(bytes, start));
}

/** The units of the styles `postgres` and `postgres_verbose`. */
const UNIT = /^([+-]?\d+(?:\.\d+)?) (year|mon|day|hour|min|sec)s?\b/;
const CLOCK = /^([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/;
const ISO = /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?)?$/;
/** `sql_standard`: years and months, days, and a time; a sign in front counts for all that follows without one. */
const STANDARD = /^(?:([+-]?)(\d+)-(\d+)(?!\d))?(?: ?(?:([+-]?)(\d+) )?([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

function micros(fraction = ""): number {
  return Number(fraction.padEnd(6, "0"));
}

const NAMES = { year: "years", mon: "months", day: "days", hour: "hours", min: "minutes", sec: "seconds" } as const;

function parseClock(text: string, parts: IntervalParts): boolean {
  const found = CLOCK.exec(text);
  if (!found) return false;
  const [, sign, hours, minutes, seconds, fraction] = found;
  const factor = sign === "-" ? -1 : 1;
  parts.hours = factor * Number(hours);
  parts.minutes = factor * Number(minutes);
  parts.seconds = factor * Number(seconds);
  parts.milliseconds = factor * micros(fraction) / 1000;
  return true;
}

function parseUnits(text: string): PostgresInterval | undefined {
  const ago = text.endsWith(" ago");
  const parts: IntervalParts = {};
  let rest = text.slice(text.startsWith("@ ") ? 2 : 0, ago ? -4 : undefined);
  while (rest !== "") {
    const found = UNIT.exec(rest);
    if (!found) {
      if (!parseClock(rest, parts)) return undefined;
      break;
    }
    const [all, amount = "", unit] = found;
    const name = NAMES[unit as keyof typeof NAMES];
    const [whole = "", fraction] = amount.split(".");
    parts[name] = Number(whole);
    if (fraction !== undefined) parts.milliseconds = (whole.startsWith("-") ? -1 : 1) * micros(fraction) / 1000;
    rest = rest.slice(all.length).trimStart();
  }
  if (ago) { for (const part of PARTS) if (parts[part]) parts[part] = -parts[part]; }
  return new PostgresInterval(parts);
}

/** Returns the number of a part; 0 if the text does not have it. */
function numberOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(text);
}

function parseIso(text: string): PostgresInterval | undefined {
  const found = ISO.exec(text);
  if (!found) return undefined;
  const [, years, months, days, hours, minutes, sign, seconds, fraction] = found;
  const factor = sign === "-" ? -1 : 1;
  return new PostgresInterval({
    years: numberOf(years),
    months: numberOf(months),
    days: numberOf(days),
    hours: numberOf(hours),
    minutes: numberOf(minutes),
    seconds: factor * numberOf(seconds),
    milliseconds: factor * micros(fraction) / 1000,
  });
}

/** Days alone are `3 0:00:00` in this style. */
function parseStandard(text: string): PostgresInterval | undefined {
  const found = STANDARD.exec(text);
  if (!found) return undefined;
  const [, sign, years, months, daySign, days, timeSign, hours, minutes, seconds, fraction] = found;
  const ofYears = sign === "-" ? -1 : 1;
  const ofDays = daySign === "-" ? -1 : 1;
  const ofTime = timeSign === "-" || (timeSign === "" && daySign === "-") ? -1 : 1;
  return new PostgresInterval({
    years: ofYears * numberOf(years),
    months: ofYears * numberOf(months),
    days: ofDays * numberOf(days),
    hours: ofTime * numberOf(hours),
    minutes: ofTime * numberOf(minutes),
    seconds: ofTime * numberOf(seconds),
    milliseconds: ofTime * micros(fraction) / 1000,
  });
}

/** Reads the text of an interval in each IntervalStyle. */
function decodeText(text: string): unknown {
  if (text === "infinity") return Infinity;
  if (text === "-infinity") return -Infinity;
  if (text === "0" || text === "@ 0") return new PostgresInterval();
  const read = (text.startsWith("P") ? parseIso(text) : parseUnits(text)) ?? parseStandard(text);
  if (!read) throw new DecodeError("Cannot read an interval: its text has no style of IntervalStyle");
  return read;
}

/** Returns the parts of a `Temporal.Duration`. */
function partsOfDuration(duration: Duration): IntervalParts {
  return {
    years: duration.years,
    months: duration.months,
    days: duration.weeks * 7 + duration.days,
    hours: duration.hours,
    minutes: duration.minutes,
    seconds: duration.seconds,
    milliseconds: duration.milliseconds + duration.microseconds / 1000 + duration.nanoseconds / 1_000_000,
  };
}

function encode(value: unknown): string {
  if (typeof value === "string") return inputText(value);
  if (value === Infinity) return "infinity";
  if (value === -Infinity) return "-infinity";
  if (typeof value !== "object" || value === null) throw valueError(value, "expected { hours: 1 }, or a string");
  if (temporalKind(value) === "Duration") return intervalText(partsOfDuration(value as Duration));
  const parts: Record<string, unknown> = {};
  for (const [part, amount] of Object.entries(value)) {
    const isPart = (PARTS as readonly string[]).includes(part);
    if (!isPart) {
      throw valueError(value, "expected an object of years, months, days, hours, minutes, seconds and so on");
    }
    if (amount === undefined || amount === null) continue;
    const isFraction = part === "seconds" || part === "milliseconds";
    if (typeof amount !== "number" || !(isFraction ? Number.isFinite(amount) : Number.isInteger(amount))) {
      throw valueError(amount, `expected a whole number of ${part}`);
    }
    parts[part] = amount;
  }
  if (Object.keys(parts).length === 0 && !(value instanceof PostgresInterval) && !isPlain(value)) {
    throw valueError(value, "expected { hours: 1 }, or a string");
  }
  return intervalText(parts);
}

/** Objects without parts are accepted only if they are nothing else. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ||
    (value as { constructor?: { name?: unknown } }).constructor?.name === "PostgresInterval";
}

/** `interval`. */
export const interval: ValueFormat = { decodeText, decodeBinary, encode, survivesRetyping: () => false };
