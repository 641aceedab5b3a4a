/**
 * Statistics of a cache.
 *
 * @module
 */
import type { RedisState } from "./redis/redis_connection.ts";

/** Statistics of a cache, as plain data. All counters grow from the creation of the cache. */
export interface CacheStats {
  /** The memory of the isolate. */
  readonly memory: {
    readonly hits: number;
    readonly misses: number;
    /** The number of values now. */
    readonly entries: number;
    /** Their approximate size now, in bytes. */
    readonly bytes: number;
    /** The values that left for others. */
    readonly evictions: number;
    /** The times that all values were dropped, because invalidations may have been lost. */
    readonly drops: number;
  };
  /** Redis; `undefined` without `REDIS_URL`. */
  readonly redis: RedisStats | undefined;
  /** The loaders that were called. */
  readonly loads: number;
  /** The loads that failed. */
  readonly failedLoads: number;
  /** The calls of `getOrLoad` that shared the load of another one in the isolate. */
  readonly sharedLoads: number;
  /** The values that were returned while they were loaded again. */
  readonly staleHits: number;
  /** The values that were returned because they could not be loaded again. */
  readonly graceHits: number;
}

/** Statistics of Redis as a level of a cache. */
export interface RedisStats extends RedisState {
  /** Reads that Redis had a value for. */
  readonly hits: number;
  /** Reads that Redis had no value for. An outage is not a miss. */
  readonly misses: number;
  /** Reads without a result, because Redis could not be used. */
  readonly failedReads: number;
  /** Writes and invalidations that did not reach Redis. */
  readonly failedWrites: number;
  /** Writes that Redis rejected, because its memory is full. */
  readonly full: number;
  /** Values that were not stored in Redis, because they are larger than `maxValueBytes`. */
  readonly tooLarge: number;
  /** Values that were not written by a cache, and count as misses. */
  readonly foreign: number;
  /** Invalidations that are sent when Redis can be used again. */
  readonly pendingInvalidations: number;
  /** Invalidations that were not kept until then: there were too many. */
  readonly lostInvalidations: number;
  /** Invalidations by other isolates. */
  readonly receivedInvalidations: number;
  /** Messages that no cache has written. */
  readonly foreignMessages: number;
  /** Waits for a load of another isolate. */
  readonly lockWaits: number;
  /** The waits that ended without it. */
  readonly lockTimeouts: number;
}

type Counters<T> = { -readonly [K in keyof T as T[K] extends number ? K : never]: number };

/** The counters of a cache. */
export type CacheCounters = Counters<CacheStats>;

/** The counters of Redis as a level of a cache. */
export type RedisCounters = Omit<Counters<RedisStats>, "timeouts" | "pendingInvalidations">;

/** Returns counters at 0. */
export function cacheCounters(): CacheCounters {
  return { loads: 0, failedLoads: 0, sharedLoads: 0, staleHits: 0, graceHits: 0 };
}

/** Returns counters at 0. */
export function redisCounters(): RedisCounters {
  return {
    hits: 0,
    misses: 0,
    failedReads: 0,
    failedWrites: 0,
    full: 0,
    tooLarge: 0,
    foreign: 0,
    lostInvalidations: 0,
    receivedInvalidations: 0,
    foreignMessages: 0,
    lockWaits: 0,
    lockTimeouts: 0,
  };
}
