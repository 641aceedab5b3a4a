/** The metrics of caches: LayeredCache on a fake Redis, in a registry and in a collector. */
import { assertEquals } from "@std/assert";
import {
  CACHE_LABEL,
  MetricsCollector,
  MetricsRegistry,
  type MetricsSnapshot,
  observeCache,
  type ObservedCacheStats,
  toPrometheusText,
} from "../../../shared/observability/mod.ts";
import { settle } from "../../support/fake_clock.ts";
import { checkMetrics, promtool } from "../../support/promtool.ts";
import { Setting } from "../../cache/setting.ts";
import { CACHES, exposedBy, namesOf } from "./specified_names.ts";

/** Returns the series of a metric: its labels but the name of the cache, and its value. */
function shown({ metrics }: MetricsSnapshot, name: string, cache = "cache"): Record<string, number> {
  const series = metrics.find((metric) => metric.name === name)?.series ?? [];
  return Object.fromEntries(
    series.filter(({ labels }) => labels[CACHE_LABEL] === cache).map(({ labels, value = NaN }) => {
      const others = Object.entries(labels).filter(([label]) => label !== CACHE_LABEL).map(([, of]) => of);
      return [others.join(" "), value];
    }),
  );
}

/** Statistics in which every number differs. */
function statsOf(more: Partial<ObservedCacheStats> = {}): ObservedCacheStats {
  return {
    memory: { hits: 101, misses: 102, entries: 103, bytes: 104, evictions: 105, drops: 106 },
    redis: {
      isConnected: true,
      hits: 201,
      misses: 202,
      failedReads: 203,
      failedWrites: 204,
      timeouts: 205,
      full: 206,
      lostInvalidations: 207,
      lockWaits: 208,
    },
    loads: 301,
    failedLoads: 302,
    sharedLoads: 303,
    staleHits: 304,
    graceHits: 305,
    ...more,
  };
}

Deno.test(`observeCache() exposes each statistic of a cache under its name${promtool.note}`, async () => {
  const registry = new MetricsRegistry();
  using _metrics = observeCache(registry, { stats: statsOf });
  const snapshot = registry.snapshot();
  assertEquals(shown(snapshot, "cache_reads_total"), {
    "memory hit": 101,
    "memory miss": 102,
    "redis hit": 201,
    "redis miss": 202,
    "redis error": 203,
  });
  assertEquals(shown(snapshot, "cache_errors_total"), {
    "redis read": 203,
    "redis write": 204,
    "redis timeout": 205,
    "redis full": 206,
    "redis lost_invalidation": 207,
  });
  assertEquals(shown(snapshot, "cache_stale_hits_total"), { refresh: 304, failed_load: 305 });
  const single = {
    cache_loads_total: 301,
    cache_failed_loads_total: 302,
    cache_shared_loads_total: 303,
    cache_lock_waits_total: 208,
    cache_evictions_total: 105,
    cache_drops_total: 106,
    cache_entries: 103,
    cache_size_bytes: 104,
    cache_redis_connected: 1,
  };
  for (const [name, value] of Object.entries(single)) assertEquals(shown(snapshot, name), { "": value }, name);
  const text = toPrometheusText(snapshot);
  assertEquals(exposedBy(text), namesOf(CACHES));
  if (!promtool.ignore) assertEquals(await checkMetrics(text), { code: 0, output: "" });
});

Deno.test("observeCache() shows no level of Redis for a cache without one", () => {
  const registry = new MetricsRegistry();
  using _metrics = observeCache(registry, { stats: () => statsOf({ redis: undefined }) });
  const snapshot = registry.snapshot();
  assertEquals(Object.keys(shown(snapshot, "cache_reads_total")), ["memory hit", "memory miss"]);
  assertEquals(shown(snapshot, "cache_errors_total"), {});
  assertEquals(shown(snapshot, "cache_redis_connected"), {});
});

Deno.test("observeCache() follows the hits, misses, loads and outages of a LayeredCache", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  const registry = new MetricsRegistry();
  using _metrics = observeCache(registry, cache, "rates");
  const read = (name: string) => shown(registry.snapshot(), name, "rates");
  await setting.during(cache.getOrLoad("a", setting.load, { ttlSeconds: 10, staleSeconds: 60, graceSeconds: 600 }));
  for (let i = 0; i < 3; i++) await cache.get("a");
  assertEquals(read("cache_reads_total")["memory hit"], 3);
  assertEquals(read("cache_loads_total"), { "": 1 });
  assertEquals(read("cache_entries"), { "": 1 });
  // Another isolate finds it in Redis.
  const other = setting.isolate().cache;
  using _others = observeCache(registry, other, "other");
  await other.get("a");
  const ofOther = shown(registry.snapshot(), "cache_reads_total", "other");
  assertEquals([ofOther["memory miss"], ofOther["redis hit"]], [1, 1]);
  // It is stale, and loaded again.
  await setting.clock.advance(20_000);
  await setting.during(cache.getOrLoad("a", setting.load, { ttlSeconds: 10, staleSeconds: 60, graceSeconds: 600 }));
  await settle();
  assertEquals(read("cache_stale_hits_total")["refresh"], 1);
  redis.isDown = true;
  await setting.during(cache.get("b"));
  assertEquals(read("cache_reads_total")["redis error"], 1);
  assertEquals(read("cache_errors_total")["redis read"], 1);
  setting.failure = new Error("down");
  await setting.during(cache.getOrLoad("c", setting.load).catch(() => {}));
  assertEquals(read("cache_failed_loads_total"), { "": 1 });
  cache.close();
  other.close();
});

Deno.test("observeCache() keeps counts when a cache ends, removes its values, and frees its name once", () => {
  const registry = new MetricsRegistry();
  let loads = 0;
  const create = () => observeCache(registry, { stats: () => statsOf({ loads }) });
  const first = create();
  loads = 5;
  first[Symbol.dispose]();
  assertEquals(shown(registry.snapshot(), "cache_loads_total"), { "": 5 });
  assertEquals(shown(registry.snapshot(), "cache_entries"), {});
  using _second = create();
  first[Symbol.dispose]();
  assertEquals(shown(registry.snapshot(), "cache_loads_total"), { "": 10 });
  assertEquals(shown(registry.snapshot(), "cache_entries"), { "": 103 });
  using _third = create();
  assertEquals(shown(registry.snapshot(), "cache_loads_total", "cache 2"), { "": 5 });
});

Deno.test("observeCache() survives statistics that throw", () => {
  const registry = new MetricsRegistry();
  let isBroken = false;
  const metrics = observeCache(registry, {
    stats: () => {
      if (isBroken) throw new Error("closed");
      return statsOf();
    },
  });
  registry.snapshot();
  isBroken = true;
  assertEquals(shown(registry.snapshot(), "cache_loads_total"), { "": 301 });
  metrics[Symbol.dispose]();
  assertEquals(shown(registry.snapshot(), "cache_loads_total"), { "": 301 });
});

Deno.test("observeCache() bounds the series of hostile names, and shows values of none in place of others", () => {
  const registry = new MetricsRegistry();
  const all = Array.from({ length: 150 }, (_, at) => observeCache(registry, { stats: statsOf }, `c"\n\ud800${at}`));
  const snapshot = registry.snapshot();
  for (const { name, series } of snapshot.metrics) assertEquals(series.length <= 101, true, name);
  for (const metrics of all) metrics[Symbol.dispose]();
  assertEquals(registry.snapshot().metrics.filter(({ type }) => type === "gauge"), []);
});

Deno.test("MetricsCollector.attachCache() adds up what caches count from then on", () => {
  const collector = new MetricsCollector();
  let [hits, misses, loads] = [0, 0, 0];
  const cache = () => ({
    stats: () => {
      const all = statsOf({ loads });
      return { ...all, memory: { ...all.memory, hits, misses } };
    },
  });
  const first = cache();
  const attached = collector.attachCache(first);
  // Attached again, it counts once.
  using _again = collector.attachCache(first);
  using _second = collector.attachCache(cache());
  [hits, misses, loads] = [6, 2, 4];
  assertEquals(collector.getMetrics().cache, {
    memory: { hits: 12, misses: 4, hitRate: 0.75, entries: 206, bytes: 208, evictions: 0 },
    redis: { hits: 0, misses: 0, hitRate: 0, failed: 0 },
    loads: 8,
    failedLoads: 0,
    sharedLoads: 0,
    stale: 0,
  });
  attached[Symbol.dispose]();
  attached[Symbol.dispose]();
  [hits, loads] = [10, 5];
  // The first one has stopped, and what it counted stays.
  assertEquals(collector.getMetric("cache.memory.hits"), 16);
  assertEquals(collector.getMetric("cache.memory.entries"), 103);
  assertEquals(collector.getMetric("cache.loads"), 9);
  using _back = collector.attachCache(first);
  assertEquals(collector.getMetric("cache.loads"), 9);
});

Deno.test("MetricsCollector.attachCache() counts each statistic, and survives what throws", () => {
  const collector = new MetricsCollector();
  const nothing = { hits: 0, misses: 0, evictions: 0, entries: 0, bytes: 0, drops: 0 };
  let stats: (() => ObservedCacheStats) | undefined;
  const cache = { stats: () => stats?.() ?? statsOf({ memory: nothing, redis: undefined, ...ZERO }) };
  const attached = collector.attachCache(cache);
  stats = () => statsOf();
  const expected = {
    memory: { hits: 101, misses: 102, hitRate: 101 / 203, entries: 103, bytes: 104, evictions: 105 },
    redis: { hits: 201, misses: 202, hitRate: 201 / 403, failed: 203 + 204 },
    loads: 301,
    failedLoads: 302,
    sharedLoads: 303,
    stale: 304 + 305,
  };
  assertEquals(collector.getMetrics().cache, expected);
  stats = () => {
    throw new Error("closed");
  };
  using _broken = collector.attachCache({ stats });
  // What it has counted stays.
  const { memory, ...others } = expected;
  const { entries, bytes, ...counts } = collector.getMetrics().cache.memory;
  assertEquals([entries, bytes], [0, 0]);
  assertEquals(counts, { hits: memory.hits, misses: memory.misses, hitRate: memory.hitRate, evictions: 105 });
  assertEquals(collector.getMetric("cache.loads"), others.loads);
  attached[Symbol.dispose]();
  assertEquals(collector.getMetric("cache.loads"), others.loads);
});

const ZERO = { loads: 0, failedLoads: 0, sharedLoads: 0, staleHits: 0, graceHits: 0 };
