/**
 * The statistics of several caches as one.
 *
 * @module
 */
import { type CollectedMetrics, hitsOf } from "./collected.ts";
import type { ObservedCache, ObservedCacheStats } from "./observed_cache.ts";

/** The counts of caches, by name. */
type Counts = Record<
  | ("hits" | "misses" | "evictions" | "redisHits" | "redisMisses" | "redisFailed")
  | ("loads" | "failedLoads" | "sharedLoads" | "stale"),
  number
>;

function countsOf(
  { memory, redis, loads, failedLoads, sharedLoads, staleHits, graceHits }: ObservedCacheStats,
): Counts {
  return {
    hits: memory.hits,
    misses: memory.misses,
    evictions: memory.evictions,
    redisHits: redis?.hits ?? 0,
    redisMisses: redis?.misses ?? 0,
    redisFailed: (redis?.failedReads ?? 0) + (redis?.failedWrites ?? 0),
    loads,
    failedLoads,
    sharedLoads,
    stale: staleHits + graceHits,
  };
}

/** Adds counts to others, or subtracts them. */
function add(to: Counts, counts: Counts, sign: 1 | -1): void {
  for (const name of Object.keys(to) as (keyof Counts)[]) to[name] += sign * counts[name];
}

/** Returns the statistics of a cache; `undefined` if it has none now, after its end for example. */
function statsOf(cache: ObservedCache): ObservedCacheStats | undefined {
  try {
    return cache.stats();
  } catch {
    return undefined;
  }
}

const NOTHING: Counts = Object.freeze({
  hits: 0,
  misses: 0,
  evictions: 0,
  redisHits: 0,
  redisMisses: 0,
  redisFailed: 0,
  loads: 0,
  failedLoads: 0,
  sharedLoads: 0,
  stale: 0,
});

/** Adds up what caches count from when they are attached. */
export class CacheTotals {
  /** The caches, and what each had counted when it was asked last. */
  readonly #attached = new Map<ObservedCache, Counts>();
  /** The counts of caches that are no longer attached, less those that the others had before. */
  readonly #others: Counts = { ...NOTHING };

  /** Counts a cache from now on, until the result is disposed of. A cache that is attached already counts once. */
  attach(cache: ObservedCache): Disposable {
    const stats = this.#attached.has(cache) ? undefined : statsOf(cache);
    if (!stats) return { [Symbol.dispose]: () => {} };
    const before = countsOf(stats);
    this.#attached.set(cache, before);
    add(this.#others, before, -1);
    return {
      [Symbol.dispose]: () => {
        const latest = this.#attached.get(cache);
        if (!latest) return;
        const stats = statsOf(cache);
        this.#attached.delete(cache);
        add(this.#others, stats ? countsOf(stats) : latest, 1);
      },
    };
  }

  /** Returns what the caches have counted, and what they hold now. */
  read(): CollectedMetrics["cache"] {
    const counts = { ...this.#others };
    let [entries, bytes] = [0, 0];
    for (const [cache, latest] of this.#attached) {
      const stats = statsOf(cache);
      entries += stats?.memory.entries ?? 0;
      bytes += stats?.memory.bytes ?? 0;
      const now = stats ? countsOf(stats) : latest;
      this.#attached.set(cache, now);
      add(counts, now, 1);
    }
    const { loads, failedLoads, sharedLoads, stale, evictions } = counts;
    return {
      memory: { ...hitsOf(counts.hits, counts.misses), entries, bytes, evictions },
      redis: { ...hitsOf(counts.redisHits, counts.redisMisses), failed: counts.redisFailed },
      loads,
      failedLoads,
      sharedLoads,
      stale,
    };
  }
}
