/**
 * Dates and instants on the proleptic Gregorian calendar, in UTC whatever the time zone of the process and session.
 *
 * @module
 */
import { DecodeError, valueError } from "./value_error.ts";

/** 2000-01-01T00:00:00Z, from which the binary forms count, in milliseconds. */
const EPOCH_MS = 946_684_800_000;
const DAY_MS = 86_400_000;
/** The largest distance of a Date from 1970, in milliseconds (ECMAScript, "Time Values"). */
const MOST_MS = 8_640_000_000_000_000;
const TWO_TO_32 = 4_294_967_296;

/** Returns a four-digit year or more, and the era behind it. */
function yearParts(year: number): [year: string, era: string] {
  return year > 0 ? [String(year).padStart(4, "0"), ""] : [String(1 - year).padStart(4, "0"), " BC"];
}

/**
 * Returns the text that is sent for a Date: every type of date and time reads it as UTC, and `timestamp` and `date`
 * keep what UTC shows.
 *
 * @throws {ValueError} for an invalid Date.
 */
export function instantText(date: Date): string {
  const time = date.getTime();
  if (Number.isNaN(time)) throw valueError(date, "it is not an instant");
  // From year 0 to 9999 the text has four digits, and year 0 is 1 BC.
  const iso = date.toISOString();
  if (iso.length === 24 && !iso.startsWith("0000")) return `${iso.slice(0, 23)}+00:00`;
  const [year, era] = yearParts(date.getUTCFullYear());
  return `${year}${iso.slice(iso.length - 20, iso.length - 1)}+00:00${era}`;
}

/** Returns a day's text, as the server prints it, from days since 1970. */
function dayText(days: number): string {
  // The calendar repeats every 400 years, which are 146,097 days.
  const cycle = Math.floor(days / 146_097);
  const date = new Date((days - cycle * 146_097) * DAY_MS);
  const [year, era] = yearParts(date.getUTCFullYear() + 400 * cycle);
  return `${year}${date.toISOString().slice(4, 10)}${era}`;
}

/** Returns the text of a time beyond Date's range, from microseconds since 2000. */
function distantText(micros: bigint, zone: string): string {
  const dayMicros = 86_400_000_000n;
  const since1970 = micros + BigInt(EPOCH_MS) * 1000n;
  const ofDay = ((since1970 % dayMicros) + dayMicros) % dayMicros;
  const day = dayText(Number((since1970 - ofDay) / dayMicros));
  const era = day.endsWith(" BC") ? " BC" : "";
  return `${era ? day.slice(0, -3) : day} ${timeOfDayText(Number(ofDay))}${zone}${era}`;
}

/** Two digits of each number below 100. */
const TWO: readonly string[] = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, "0"));

/** Returns the text of a time of day, as the server prints it, from microseconds. */
export function timeOfDayText(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const text = `${TWO[hours]}:${TWO[minutes - hours * 60]}:${TWO[seconds - minutes * 60]}`;
  let fraction = micros - seconds * 1_000_000;
  if (fraction === 0) return text;
  let length = 6;
  for (; fraction % 10 === 0; length--) fraction /= 10;
  return `${text}.${String(fraction).padStart(length, "0")}`;
}

/** Reads a binary date: days since 2000. */
export function dateFromDays(days: number): unknown {
  if (days === 2_147_483_647) return Infinity;
  if (days === -2_147_483_648) return -Infinity;
  const time = days * DAY_MS + EPOCH_MS;
  return time > MOST_MS ? dayText(days + EPOCH_MS / DAY_MS) : new Date(time);
}

/** Reads a binary timestamp: microseconds since 2000, of which a Date keeps the milliseconds. */
export function instantFromMicros(high: number, low: number, zone: string): unknown {
  if (high === 2_147_483_647 && low === 4_294_967_295) return Infinity;
  if (high === -2_147_483_648 && low === 0) return -Infinity;
  // From 1715 to 2285 the sum is exact.
  const ms = high > -2_097_152 && high < 2_097_152
    ? Math.floor((high * TWO_TO_32 + low) / 1000)
    : high * 4_294_967 + Math.floor((high * 296 + low) / 1000);
  const time = ms + EPOCH_MS;
  if (time <= MOST_MS) return new Date(time);
  return distantText(BigInt(high) * 4_294_967_296n + BigInt(low), zone);
}

const DASH = 45;
const DOT = 46;
const ZERO = 48;

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}

const DAY = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/;
const TIME =
  /^(\d{4,7})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/;

function unreadable(type: string): DecodeError {
  return new DecodeError(
    `Cannot read ${type}: its text is not in the ISO format; leave DateStyle at ISO, which the connection begins with`,
  );
}

function daysSince1970(year: number, month: number, day: number): number {
  const cycle = Math.floor(year / 400);
  return Date.UTC(year - 400 * cycle + 2000, month - 1, day) / DAY_MS - 5 * 146_097 + cycle * 146_097;
}

function infinityOf(text: string): number | undefined {
  return text === "infinity" ? Infinity : text === "-infinity" ? -Infinity : undefined;
}

/** Reads the text of a date. */
export function parseDay(text: string): unknown {
  if (text.length === 10 && text.charCodeAt(4) === DASH && text.charCodeAt(7) === DASH) {
    const year = digits(text, 0, 4);
    if (year >= 100) return new Date(Date.UTC(year, digits(text, 5, 7) - 1, digits(text, 8, 10)));
  }
  const found = DAY.exec(text);
  if (!found) {
    const infinity = infinityOf(text);
    if (infinity !== undefined) return infinity;
    throw unreadable("a date");
  }
  const [, year = "", month = "", day = "", era] = found;
  const time = daysSince1970(era ? 1 - Number(year) : Number(year), Number(month), Number(day)) * DAY_MS;
  return time > MOST_MS ? text : new Date(time);
}

function parseDistant(text: string, type: string): unknown {
  const found = TIME.exec(text);
  if (!found) {
    const infinity = infinityOf(text);
    if (infinity !== undefined) return infinity;
    throw unreadable(type);
  }
  const [, year = "", month, day, hours, minutes, seconds, fraction = "", sign, zoneHours, zoneMinutes, zoneSeconds] =
    found;
  const days = daysSince1970(found[12] ? 1 - Number(year) : Number(year), Number(month), Number(day));
  const offset = (sign === "-" ? -1 : 1) *
    (Number(zoneHours ?? 0) * 3600 + Number(zoneMinutes ?? 0) * 60 + Number(zoneSeconds ?? 0));
  const ofDay = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) - offset;
  const ofSecond = fraction.padEnd(6, "0");
  const time = days * DAY_MS + ofDay * 1000 + Number(ofSecond.slice(0, 3));
  if (time <= MOST_MS) return new Date(time);
  const micros = (BigInt(days) * 86_400n + BigInt(ofDay)) * 1_000_000n + BigInt(ofSecond);
  return distantText(micros - BigInt(EPOCH_MS) * 1000n, sign ? "+00" : "");
}

/**
 * Reads the text of a `timestamp` without a call into a parser: `2026-01-31 12:34:56.789012`. Nearly all have this form.
 */
export function parseTimestamp(text: string): unknown {
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(text.length - 1) > 57 || text.length < 19 || text.length > 26) {
    return parseDistant(text, "a timestamp");
  }
  return parseUsual(text, text.length, 0, "a timestamp");
}

/** Reads the text of a `timestamptz`. Nearly all have a four-digit year and whole hours from UTC. */
export function parseInstant(text: string): unknown {
  const zone = text.length - 3;
  const sign = text.charCodeAt(zone);
  if (zone < 19 || zone > 26 || (sign !== 43 && sign !== DASH) || text.charCodeAt(4) !== DASH) {
    return parseDistant(text, "a timestamp");
  }
  return parseUsual(text, zone, (sign === DASH ? -1 : 1) * digits(text, zone + 1, text.length), "a timestamp");
}

/** With a dash as the fifth character, a space as the eleventh and this length, the server writes no other form. */
function parseUsual(text: string, end: number, offsetHours: number, type: string): unknown {
  const year = digits(text, 0, 4);
  if (!(year >= 100) || text.charCodeAt(10) !== 32 || (end > 19 && text.charCodeAt(19) !== DOT)) {
    return parseDistant(text, type);
  }
  let ms = 0;
  if (end > 20) {
    const last = Math.min(end, 23);
    ms = digits(text, 20, last) * 10 ** (23 - last);
  }
  const time = Date.UTC(
    year,
    digits(text, 5, 7) - 1,
    digits(text, 8, 10),
    digits(text, 11, 13) - offsetHours,
    digits(text, 14, 16),
    digits(text, 17, 19),
    ms,
  );
  return Number.isNaN(time) ? parseDistant(text, type) : new Date(time);
}
