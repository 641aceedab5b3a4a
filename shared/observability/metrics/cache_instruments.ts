/**
 * The metrics of caches. OpenTelemetry has no names for them.
 *
 * @module
 */
import type { Counter, Gauge } from "./instruments.ts";
import type { MetricsRegistry } from "./registry.ts";

/** The label that names a cache. */
export const CACHE_LABEL = "cache_name";

/** The instruments of all caches of a registry. */
export interface CacheInstruments {
  readonly reads: Counter;
  readonly errors: Counter;
  readonly loads: Counter;
  readonly failedLoads: Counter;
  readonly sharedLoads: Counter;
  readonly lockWaits: Counter;
  readonly stale: Counter;
  readonly evictions: Counter;
  readonly drops: Counter;
  readonly entries: Gauge;
  readonly bytes: Gauge;
  readonly connected: Gauge;
}

/** Returns the instruments of caches, which are created once for each registry. */
export function cacheInstruments(registry: MetricsRegistry): CacheInstruments {
  const counter = (name: string, help: string, ...more: string[]) =>
    // Two labels of few values each: ten caches have room.
    registry.counter(name, { help, labels: [CACHE_LABEL, ...more], maxSeries: 100 });
  const gauge = (name: string, help: string) => registry.gauge(name, { help, labels: [CACHE_LABEL] });
  return {
    reads: counter("cache_reads_total", "Reads by level (memory, redis) and result.", "cache_level", "result"),
    errors: counter("cache_errors_total", "What Redis could not be used for, by reason.", "cache_level", "reason"),
    loads: counter("cache_loads_total", "Loaders that were called."),
    failedLoads: counter("cache_failed_loads_total", "Loads that failed."),
    sharedLoads: counter("cache_shared_loads_total", "Calls that shared the load of another one."),
    lockWaits: counter("cache_lock_waits_total", "Waits for a load of another isolate."),
    stale: counter(
      "cache_stale_hits_total",
      "Values that were not fresh: returned while they were loaded again, or because that failed.",
      "reason",
    ),
    evictions: counter("cache_evictions_total", "Values that left the memory for others."),
    drops: counter("cache_drops_total", "The times that the memory was cleared, as invalidations may have been lost."),
    entries: gauge("cache_entries", "Values in the memory of the isolate."),
    bytes: gauge("cache_size_bytes", "Their approximate size."),
    connected: gauge("cache_redis_connected", "1 if Redis can be used now."),
  };
}
