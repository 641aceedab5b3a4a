/**
 * The text of a value in Redis: `[1, freshUntil, staleUntil, graceUntil, tags, value]`, as JSON.
 *
 * @module
 */
import type { CacheEntry } from "./memory_level.ts";
import { encodeValue, type FrozenValue, reviveValue } from "./value.ts";

/** The version of the format. */
const VERSION = 1;

/** The stamp of a tag when a value was loaded: invalidating the tag gives it another one. */
export type TagStamp = readonly [tag: string, stamp: string];

/** The times of a value, in ms since the epoch. */
export type EntryTimes = Pick<CacheEntry, "freshUntil" | "staleUntil" | "graceUntil">;

/** A value as it was read from Redis. */
export interface StoredEntry extends EntryTimes, Pick<FrozenValue, "value" | "isCopied"> {
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
    const parts: unknown = JSON.parse(text);
    if (!Array.isArray(parts) || parts.length !== 6) return undefined;
    const [version, freshUntil, staleUntil, graceUntil, tags, json]: unknown[] = parts;
    if (version !== VERSION || !isInstant(freshUntil) || !isInstant(staleUntil) || !isInstant(graceUntil)) {
      return undefined;
    }
    const stamps = tags === 0 ? NO_STAMPS : tags;
    if (!isStamps(stamps)) return undefined;
    return { freshUntil, staleUntil, graceUntil, stamps, ...reviveValue(json) };
  } catch {
    return undefined;
  }
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
