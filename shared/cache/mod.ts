/**
 * A cache of three levels: memory, Redis (optional, by `REDIS_URL`), and the loader.
 *
 * @module
 */

// Caches.
export { LayeredCache, type LayeredCacheOptions } from "./layered_cache.ts";
export { closeCache, getCache, RedisCache, redisCache, type RedisCacheOptions } from "./redis_cache.ts";
export { type CacheLoader, type CacheSubscription, CacheView, type MessageHandler } from "./cache_view.ts";
export type { CacheLoadContext, CacheLoadOptions, CacheValueOptions } from "./options.ts";
export type { MemoryLevelOptions } from "./memory_level.ts";
export type { CallerContext } from "./identity.ts";
export type { CacheStats, RedisStats } from "./stats.ts";

// The connection to Redis.
export {
  type RedisCommand,
  type RedisCommands,
  RedisConnection,
  type RedisConnectionOptions,
  type RedisState,
} from "./redis/redis_connection.ts";
export type { RedisTlsOptions } from "./redis/redis_driver.ts";

// Errors.
export {
  CacheClosedError,
  CacheConfigError,
  CacheError,
  CacheKeyError,
  CacheLoadCycleError,
  CacheLoadTimeoutError,
  CacheUnavailableError,
  CacheValueError,
  RedisReplyError,
  SharedLoaderError,
} from "./errors.ts";
