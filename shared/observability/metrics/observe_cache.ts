/**
 * The metrics of a cache, from its statistics.
 *
 * @module
 */
import { CACHE_LABEL, cacheInstruments } from "./cache_instruments.ts";
import type { Counter, Gauge } from "./instruments.ts";
import type { ObservedCache, ObservedCacheStats } from "./observed_cache.ts";
import type { MetricsRegistry } from "./registry.ts";
import { claimName, totalOf } from "./sources.ts";

/** Reads a number of statistics; `undefined` where the cache has no such level. */
type Read = (stats: ObservedCacheStats) => number | undefined;

/** Returns the counters of a cache: instrument, labels, and the total that the cache counts. */
function countersOf(registry: MetricsRegistry): readonly (readonly [Counter, Record<string, string>, Read])[] {
  const all = cacheInstruments(registry);
  const read = (cache_level: string, result: string) => ({ cache_level, result });
  const error = (reason: string) => ({ cache_level: "redis", reason });
  return [
    [all.reads, read("memory", "hit"), ({ memory }) => memory.hits],
    [all.reads, read("memory", "miss"), ({ memory }) => memory.misses],
    [all.reads, read("redis", "hit"), ({ redis }) => redis?.hits],
    [all.reads, read("redis", "miss"), ({ redis }) => redis?.misses],
    [all.reads, read("redis", "error"), ({ redis }) => redis?.failedReads],
    [all.errors, error("read"), ({ redis }) => redis?.failedReads],
    [all.errors, error("write"), ({ redis }) => redis?.failedWrites],
    [all.errors, error("timeout"), ({ redis }) => redis?.timeouts],
    [all.errors, error("full"), ({ redis }) => redis?.full],
    [all.errors, error("lost_invalidation"), ({ redis }) => redis?.lostInvalidations],
    [all.loads, {}, ({ loads }) => loads],
    [all.failedLoads, {}, ({ failedLoads }) => failedLoads],
    [all.sharedLoads, {}, ({ sharedLoads }) => sharedLoads],
    [all.lockWaits, {}, ({ redis }) => redis?.lockWaits],
    [all.stale, { reason: "refresh" }, ({ staleHits }) => staleHits],
    [all.stale, { reason: "failed_load" }, ({ graceHits }) => graceHits],
    [all.evictions, {}, ({ memory }) => memory.evictions],
    [all.drops, {}, ({ memory }) => memory.drops],
  ];
}

/** Returns the gauges of a cache. */
function gaugesOf(registry: MetricsRegistry): readonly (readonly [Gauge, Read])[] {
  const all = cacheInstruments(registry);
  return [
    [all.entries, ({ memory }) => memory.entries],
    [all.bytes, ({ memory }) => memory.bytes],
    [all.connected, ({ redis }) => redis && Number(redis.isConnected)],
  ];
}

/**
 * Reports the metrics of a cache to a registry from now on, until the result is disposed of. They are read when the
 * registry is: a hit costs nothing.
 *
 * @param name The cache's name in the label `cache_name`. A second cache of a name is `name 2`.
 * @example
 * ```ts
 * using _metrics = observeCache(metricsRegistry, getCache());
 * ```
 */
export function observeCache(registry: MetricsRegistry, cache: ObservedCache, name: string = "cache"): Disposable {
  const claim = claimName(registry, CACHE_LABEL, name);
  const own = { [CACHE_LABEL]: claim.name };
  const counters = countersOf(registry).map(([counter, labels, read]) => {
    const key = [counter.name, ...Object.values(labels)].join(" ");
    let count: ReturnType<typeof totalOf> | undefined;
    return (stats: ObservedCacheStats) => {
      const total = read(stats);
      // A cache without Redis has no series of that level.
      if (total !== undefined) (count ??= totalOf(registry, cache, key, counter.with({ ...own, ...labels })))(total);
    };
  });
  const gauges = gaugesOf(registry).map(([gauge, read]) => ({ gauge, read, series: gauge.with(own) }));
  const update = () => {
    const stats = cache.stats();
    for (const count of counters) count(stats);
    for (const { series, read } of gauges) series.set(read(stats));
  };
  const subscription = registry.beforeSnapshot(update);
  let isObserved = true;
  return {
    [Symbol.dispose]: () => {
      // Once: another cache may have its name by now.
      if (!isObserved) return;
      isObserved = false;
      subscription[Symbol.dispose]();
      attempt(update);
      // What was counted stays. The series may be the one of all others, which must not go on showing this value.
      for (const { gauge, series } of gauges) {
        series.set(undefined);
        gauge.remove(own);
      }
      claim[Symbol.dispose]();
    },
  };
}

/** Counts what a cache has counted since the metrics were read last, unless its statistics have ended with it. */
function attempt(update: () => void): void {
  try {
    update();
  } catch {
    // Its counters keep their values.
  }
}
