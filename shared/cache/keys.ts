/**
 * Keys: whose they are, and their names in Redis.
 *
 * ```text
 *   key of                      in the isolate     in Redis (name: "cache")
 *   the shared cache, user:1    user:1             cache:v:user:1
 *   the shared cache, ~x        ~s:~x              cache:v:~s:~x
 *   the cache of a caller, x    ~u:<identity>:x    cache:v:~u:<identity>:x
 * ```
 *
 * A key of the shared cache begins with `~` only as `~s:`, and an identity has no `:`, so that no two keys share a name,
 * whatever text a user sends as a part of one.
 *
 * @module
 */
import { CacheConfigError, CacheKeyError } from "./errors.ts";

/** The maximum length of a key, in characters (UTF-16 code units). */
const MAX_KEY_LENGTH = 1_024;

const TILDE = 0x7e;

/** Returns the key of an isolate for a key of a view. Does not check it: {@linkcode checkKey} does before it is stored. */
export type KeyOf = (key: string) => string;

/** Names keys of the shared cache. */
export function sharedKey(key: string): string {
  return key.charCodeAt(0) === TILDE ? `~s:${key}` : key;
}

/**
 * Returns the function that names keys of one caller.
 *
 * @param identity Contains no `:`.
 */
export function userKey(identity: string): KeyOf {
  const prefix = `~u:${identity}:`;
  return (key) => prefix + key;
}

/** Returns the key of a view for a key of an isolate, for messages. */
export function shownKey(key: string): string {
  return key.replace(/^~(?:s|u:[^:]*):/, "");
}

/**
 * Checks a key, a tag or a channel.
 *
 * A text with half of a surrogate pair is rejected: UTF-8 has no bytes for it, so that different ones would become the
 * same key in Redis.
 *
 * @throws {CacheKeyError} if it is not a well-formed text of at most 1,024 characters.
 */
export function checkKey(key: unknown, what: "key" | "tag" | "channel" = "key"): asserts key is string {
  if (typeof key !== "string") {
    throw new CacheKeyError(`Cannot use the ${what}: it is ${key === null ? "null" : typeof key}; pass a text`);
  }
  if (key.length > MAX_KEY_LENGTH) {
    throw new CacheKeyError(`Cannot use the ${what}: it has ${key.length} characters; pass at most ${MAX_KEY_LENGTH}`);
  }
  if (!key.isWellFormed()) {
    throw new CacheKeyError(`Cannot use the ${what}: it has half of a surrogate pair; pass a well-formed text`);
  }
}

/** Names in Redis. */
export interface RedisNames {
  /** The name of a value. */
  value(key: string): string;
  /** The name of the lock of a load. */
  lock(key: string): string;
  /** The name of the stamp of a tag. */
  tag(tag: string): string;
  /** The name of a channel. */
  channel(channel: string): string;
  /** The name of the channel of invalidations. */
  readonly invalidations: string;
}

/**
 * Returns the names in Redis of the cache called `name`.
 *
 * @throws {CacheConfigError} if `name` has other characters than letters, digits, `.`, `_` and `-`.
 */
export function redisNames(name: string): RedisNames {
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw new CacheConfigError("The name of a cache has 1 to 64 letters, digits, dots, underscores and hyphens");
  }
  return {
    value: (key) => `${name}:v:${key}`,
    lock: (key) => `${name}:l:${key}`,
    tag: (tag) => `${name}:t:${tag}`,
    channel: (channel) => `${name}:c:${channel}`,
    invalidations: `${name}:i`,
  };
}
