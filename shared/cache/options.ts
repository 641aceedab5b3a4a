/**
 * Options of a cache, and of its values.
 *
 * @module
 */
import type { EntryTimes } from "./envelope.ts";
import { MAX_TAGS } from "./envelope.ts";
import { CacheConfigError } from "./errors.ts";
import { checkKey } from "./keys.ts";

/** Options of a value. */
export interface CacheValueOptions {
  /** The time for which the value is fresh, in seconds. Default: that of the cache (`ttlSeconds`), 300. */
  readonly ttlSeconds?: number | undefined;
  /**
   * The time after that for which `getOrLoad` returns the value at once and loads it again in the background, in
   * seconds. Default: 0.
   */
  readonly staleSeconds?: number | undefined;
  /**
   * The time after `ttlSeconds` for which `getOrLoad` returns the value if the loader fails, in seconds. Default: 0.
   */
  readonly graceSeconds?: number | undefined;
  /** Names of what the value depends on, for `invalidateTags`: at most 32. Default: none. */
  readonly tags?: readonly string[] | undefined;
}

/** Options of `getOrLoad`. */
export interface CacheLoadOptions extends CacheValueOptions {
  /**
   * The time for which `null` and `undefined` are fresh, in seconds: what does not exist is not looked up each time.
   * Default: `ttlSeconds`, but at most 30.
   */
  readonly negativeSeconds?: number | undefined;
  /** Ends the wait when it aborts. The load goes on for others, and is aborted with the last of them. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** A load, as its loader sees it. */
export interface CacheLoadContext {
  /** Aborts when no call waits for the value any more, and after `loaderTimeoutMs`. */
  readonly signal: AbortSignal;
}

/** The longest time to live, in seconds: ten years. */
export const MAX_SECONDS = 10 * 365 * 24 * 3_600;

/** The longest time for which an absent value is fresh by default, in seconds. */
const NEGATIVE_SECONDS = 30;

/** The options of a value in force, in ms. */
export interface ResolvedOptions {
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly graceMs: number;
  readonly negativeMs: number;
  readonly tags: readonly string[];
  readonly signal: AbortSignal | undefined;
}

function toMs(name: string, seconds: number, least: number): number {
  if (!(seconds > least || (least < 0 && seconds === 0)) || seconds > MAX_SECONDS) {
    throw new CacheConfigError(
      `Cannot use ${name}: it is ${seconds}; pass seconds ${least < 0 ? "from" : "above"} 0 to ${MAX_SECONDS}`,
    );
  }
  return seconds * 1_000;
}

const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * Checks the options of a value.
 *
 * @throws {CacheConfigError} if a time is out of range, or there are too many tags.
 * @throws {CacheKeyError} if a tag is not a text.
 */
export function resolveOptions(
  options: number | CacheLoadOptions | undefined,
  defaultTtlSeconds: number,
): ResolvedOptions {
  const given: CacheLoadOptions = typeof options === "number" ? { ttlSeconds: options } : options ?? {};
  const { ttlSeconds = defaultTtlSeconds, staleSeconds = 0, graceSeconds = 0, tags = NO_TAGS, signal } = given;
  if (tags.length > MAX_TAGS) {
    throw new CacheConfigError(`Cannot use ${tags.length} tags: pass at most ${MAX_TAGS}`);
  }
  for (const tag of tags) checkKey(tag, "tag");
  return {
    ttlMs: toMs("ttlSeconds", ttlSeconds, 0),
    staleMs: toMs("staleSeconds", staleSeconds, -1),
    graceMs: toMs("graceSeconds", graceSeconds, -1),
    negativeMs: toMs("negativeSeconds", given.negativeSeconds ?? Math.min(ttlSeconds, NEGATIVE_SECONDS), -1),
    tags: tags.length === 0 ? NO_TAGS : [...new Set(tags)],
    signal,
  };
}

/**
 * Returns the times of a value that is stored at `now`.
 *
 * @param ttlMs The time for which it is fresh, in ms.
 */
export function timesFrom(now: number, ttlMs: number, { staleMs, graceMs }: ResolvedOptions): EntryTimes {
  const freshUntil = Math.ceil(now + ttlMs);
  const staleUntil = Math.ceil(freshUntil + staleMs);
  return { freshUntil, staleUntil, graceUntil: Math.max(staleUntil, Math.ceil(freshUntil + graceMs)) };
}
