/**
 * Caches as metrics see them. `LayeredCache` satisfies it. It has types only.
 *
 * @module
 */

/** The statistics of a cache that metrics use. All but entries, bytes and the state of Redis only grow. */
export interface ObservedCacheStats {
  /** The memory of the isolate. */
  readonly memory: {
    readonly hits: number;
    readonly misses: number;
    readonly entries: number;
    readonly bytes: number;
    readonly evictions: number;
    /** The times that all values were dropped, because invalidations may have been lost. */
    readonly drops: number;
  };
  /** Redis; `undefined` for none. */
  readonly redis: {
    readonly isConnected: boolean;
    readonly hits: number;
    readonly misses: number;
    readonly failedReads: number;
    readonly failedWrites: number;
    readonly timeouts: number;
    /** Writes that Redis rejected, because its memory is full. */
    readonly full: number;
    readonly lostInvalidations: number;
    /** Waits for a load of another isolate. */
    readonly lockWaits: number;
  } | undefined;
  readonly loads: number;
  readonly failedLoads: number;
  readonly sharedLoads: number;
  readonly staleHits: number;
  readonly graceHits: number;
}

/** A cache whose metrics are taken. */
export interface ObservedCache {
  /** Returns the current statistics. */
  stats(): ObservedCacheStats;
}
