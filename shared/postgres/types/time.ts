/**
 * Dates and times. A Date is sent and read in UTC, whatever the time zone of the process and the session.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import {
  dateFromDays,
  instantFromMicros,
  instantText,
  parseDay,
  parseInstant,
  parseTimestamp,
  timeOfDayText,
} from "./instant.ts";
import { int32At } from "../wire/bytes.ts";
import { uint32At } from "./numbers.ts";
import { temporalInput } from "./temporal.ts";
import { inputText } from "./text.ts";
import { checkSize, valueError } from "./value_error.ts";

const OF_DATES = ["PlainDate", "PlainDateTime", "ZonedDateTime", "Instant"];
const OF_TIMES = ["PlainTime", "PlainDateTime", "ZonedDateTime", "Instant"];

function encodeInstant(value: unknown): string {
  if (value instanceof Date) return instantText(value);
  if (typeof value === "string") return inputText(value);
  if (value === Infinity) return "infinity";
  if (value === -Infinity) return "-infinity";
  const text = temporalInput(value, OF_DATES);
  if (text === undefined) throw valueError(value, "expected a Date, a Temporal value or a string");
  return text;
}

function encodeTime(value: unknown): string {
  if (typeof value === "string") return inputText(value);
  // Without the date, which is not read with a T before the time.
  if (value instanceof Date) return instantText(value).replace(/^.*T| BC$/g, "");
  const text = temporalInput(value, OF_TIMES);
  if (text === undefined) throw valueError(value, "expected a string, a Date or a Temporal value");
  return text.replace(/^.*T| BC$/g, "");
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,5}[1-9])?$/;
const TIME = /^\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?$/;

/** Strings as the server prints them read the same under every type that the value may be cast to. */
function isLike(canonical: RegExp): (value: unknown) => boolean {
  return (value) => typeof value === "string" && canonical.test(value);
}

/** `date`. A Date has a time, which a cast to another type has lost by then. */
export const date: ValueFormat = {
  decodeText: parseDay,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 4);
    return dateFromDays(int32At(bytes, start));
  },
  encode: encodeInstant,
  survivesRetyping: isLike(DAY),
};

/** `timestamp`: the session's time zone takes part in the cast to `timestamptz`. */
export const timestamp: ValueFormat = {
  decodeText: parseTimestamp,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 8);
    return instantFromMicros(int32At(bytes, start), uint32At(bytes, start + 4), "");
  },
  encode: encodeInstant,
  survivesRetyping: isLike(TIMESTAMP),
};

/** `timestamptz`: the session's time zone takes part in each cast. */
export const timestamptz: ValueFormat = {
  decodeText: parseInstant,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 8);
    return instantFromMicros(int32At(bytes, start), uint32At(bytes, start + 4), "+00");
  },
  encode: encodeInstant,
  survivesRetyping: () => false,
};

function timeText(bytes: Uint8Array, start: number): string {
  return timeOfDayText(int32At(bytes, start) * 4_294_967_296 + uint32At(bytes, start + 4));
}

/** `time`, read as a string. */
export const time: ValueFormat = {
  decodeText: (text) => text,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 8);
    return timeText(bytes, start);
  },
  encode: encodeTime,
  survivesRetyping: isLike(TIME),
};

function zoneText(secondsWest: number): string {
  const seconds = Math.abs(secondsWest);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  while (parts.length > 1 && parts.at(-1) === 0) parts.pop();
  return (secondsWest > 0 ? "-" : "+") + parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** `timetz`, read as a string. */
export const timetz: ValueFormat = {
  decodeText: (text) => text,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 12);
    return timeText(bytes, start) + zoneText(int32At(bytes, start + 8));
  },
  encode: encodeTime,
  survivesRetyping: () => false,
};
