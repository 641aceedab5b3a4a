/**
 * RedisCache: a cache in Redis alone, and the one of `REDIS_URL`.
 *
 * @module
 */
import { processVariables, VariableReader, type Variables } from "../environment/mod.ts";
import { CacheConfigError } from "./errors.ts";
import { LayeredCache, type LayeredCacheOptions } from "./layered_cache.ts";
import type { RedisCommands, RedisConnectionOptions } from "./redis/redis_connection.ts";

/** Options for {@linkcode RedisCache}. */
export interface RedisCacheOptions extends Omit<LayeredCacheOptions, "memory" | "memorySeconds" | "redis"> {
  /** Redis: its URL, the options of its connection, or a connection that others use as well. */
  readonly redis: string | RedisConnectionOptions | RedisCommands;
}

/**
 * The second level of {@linkcode LayeredCache} by itself: every read asks Redis. Both read what the other has stored
 * under the same name.
 *
 * @example
 * ```ts
 * const cache = new RedisCache({ redis: "redis://localhost:6379" });
 * await cache.set("user:1", { id: 1, name: "John" }, 3600);
 * ```
 */
export class RedisCache extends LayeredCache {
  /**
   * Opens nothing yet: Redis is connected to at the first use.
   *
   * @throws {CacheConfigError} if an option is out of range.
   */
  constructor(options: RedisCacheOptions) {
    super({ ...options, memory: false });
  }

  /**
   * Creates the cache of `REDIS_URL`.
   *
   * @param variables Default: the variables of this process.
   * @throws {CacheConfigError} if `REDIS_URL` is not set, or is not a URL of Redis.
   */
  static override fromEnvironment(
    options: LayeredCacheOptions = {},
    variables: Variables = processVariables(),
  ): RedisCache {
    const redis = options.redis ?? new VariableReader(variables).text("REDIS_URL");
    if (redis === undefined) {
      throw new CacheConfigError("Cannot open the Redis cache: REDIS_URL is not set; set it to redis://host:6379");
    }
    return new RedisCache({ ...options, redis });
  }
}

let redisInstance: RedisCache | undefined = undefined;

/**
 * The cache in the Redis of `REDIS_URL`, which is read and connected to at the first use.
 *
 * Its methods throw `CacheConfigError` if `REDIS_URL` is not set. After `close()` the next use opens it again.
 *
 * @example
 * ```ts
 * await redisCache.set("user:1", { id: 1, name: "John" }, 3600);
 * const user = await redisCache.get("user:1");
 * ```
 */
export const redisCache: RedisCache = new Proxy(Object.create(RedisCache.prototype), {
  get(target, name): unknown {
    const member: unknown = Reflect.get(target, name);
    // Reading a member opens nothing: `await`, a log or a debugger read some that a cache does not have.
    if (typeof member !== "function" || name === "constructor" || name in Object.prototype) return member;
    return (...args: unknown[]): unknown => {
      const closes = name === "close" || name === Symbol.dispose;
      if (closes && !redisInstance) return;
      const cache = redisInstance ??= RedisCache.fromEnvironment();
      if (closes) redisInstance = undefined;
      return Reflect.apply(member, cache, args);
    };
  },
});

let instance: LayeredCache | undefined = undefined;

/**
 * Returns the cache of the isolate: memory, and the Redis of `REDIS_URL` if that is set.
 *
 * @throws {CacheConfigError} if `REDIS_URL` is not a URL of Redis.
 */
export function getCache(): LayeredCache {
  return instance ??= LayeredCache.fromEnvironment();
}

/** Closes the cache of the isolate, if there is one: {@linkcode getCache} then opens another one. */
export function closeCache(): void {
  instance?.close();
  instance = undefined;
}
