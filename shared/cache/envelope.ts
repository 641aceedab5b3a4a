/**
 * The text of a value in Redis: `[1, freshUntil, staleUntil, graceUntil, tags, value]`, as JSON.
 *
 * @module
 */
import type { CacheEntry } from "./memory_level.ts";
import { encodeValue, type FrozenValue, OBJECT_BYTES, reviveValue } from "./value.ts";

/** The version of the format. */
const VERSION = 1;

/** The stamp of a tag when a value was loaded: invalidating the tag gives it another one. */
export type TagStamp = readonly [tag: string, stamp: string];

/** The times of a value, in ms since the epoch. */
export type EntryTimes = Pick<CacheEntry, "freshUntil" | "staleUntil" | "graceUntil">;

/** A value as it was read from Redis. */
export interface StoredEntry extends EntryTimes, Pick<FrozenValue, "value" | "isCopied" | "bytes"> {
  readonly stamps: readonly TagStamp[];
}

/** Returns the text of a value. */
export function encodeEnvelope(times: EntryTimes, stamps: readonly TagStamp[], value: FrozenValue): string {
  const { freshUntil, staleUntil, graceUntil } = times;
  const tags = stamps.length === 0 ? "0" : JSON.stringify(stamps);
  return `[${VERSION},${freshUntil},${staleUntil},${graceUntil},${tags},${encodeValue(value)}]`;
}

/**
 * Reads the text of a value.
 *
 * @returns `undefined` if {@linkcode encodeEnvelope} has not written it: anyone who reaches Redis may write there.
 */
export function decodeEnvelope(text: string): StoredEntry | undefined {
  try {
    const row = decodeRow(text);
    if (row) return row;
    const parts: unknown = JSON.parse(text);
    if (!Array.isArray(parts) || parts.length !== 6) return undefined;
    const [version, freshUntil, staleUntil, graceUntil, tags, json]: unknown[] = parts;
    if (version !== VERSION || !isInstant(freshUntil) || !isInstant(staleUntil) || !isInstant(graceUntil)) {
      return undefined;
    }
    const stamps = tags === 0 ? NO_STAMPS : tags;
    if (!isStamps(stamps)) return undefined;
    return { freshUntil, staleUntil, graceUntil, stamps, ...reviveValue(json, text.length) };
  } catch {
    return undefined;
  }
}

/** The maximum length of a row, in characters: the members of a larger object count in its size. */
const MAX_ROW = 2_048;

/** The head of a value without tags, before an object. */
const HEAD = /^\[1,(\d{1,15}),(\d{1,15}),(\d{1,15}),0,(?=\{)/;

/** The parts that an object of texts, numbers, booleans and `null` alone lacks, after its first character. */
const NOT_IN_ROW = /[\\$[{]|__proto__/;

/**
 * Reads the text of a value that is an object without objects in it, as most rows are: nothing in it is to be revived.
 * Returns `undefined` for others, and throws if it is not JSON.
 */
function decodeRow(text: string): StoredEntry | undefined {
  const head = text.length > MAX_ROW ? null : HEAD.exec(text);
  if (!head) return undefined;
  const [{ length }, fresh, stale, grace] = head;
  if (NOT_IN_ROW.test(text.slice(length + 1)) || !text.endsWith("]")) return undefined;
  return {
    freshUntil: Number(fresh),
    staleUntil: Number(stale),
    graceUntil: Number(grace),
    stamps: NO_STAMPS,
    value: Object.freeze(JSON.parse(text.slice(length, -1))),
    isCopied: false,
    bytes: OBJECT_BYTES + text.length * 2,
  };
}

const NO_STAMPS: readonly TagStamp[] = Object.freeze([]);

function isInstant(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isStamps(value: unknown): value is readonly TagStamp[] {
  return Array.isArray(value) && value.length <= MAX_TAGS &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string"));
}

/** The maximum number of tags of a value. */
export const MAX_TAGS = 32;
