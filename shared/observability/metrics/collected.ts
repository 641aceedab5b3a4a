/**
 * The metrics of a `MetricsCollector`, and how it counts operations.
 *
 * @module
 */
import { quantileOf, TIME_BUCKETS } from "./buckets.ts";
import { HistogramSeries } from "./instruments.ts";

/** Durations, in ms. All are 0 without any. */
export interface DurationMetrics {
  readonly avg: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Queries since the collector was created. */
export interface QueryMetrics {
  readonly count: number;
  readonly failed: number;
  /** The share that failed, from 0 to 1. */
  readonly errorRate: number;
  readonly duration: DurationMetrics;
}

/** Reads that found a value, and those that found none. */
export interface HitMetrics {
  readonly hits: number;
  readonly misses: number;
  /** The share of reads with a hit, of those that did not fail; from 0 to 1. */
  readonly hitRate: number;
}

/** The metrics of `MetricsCollector`. Each is also available by its path, such as `postgres.query.count`. */
export interface CollectedMetrics {
  readonly postgres: {
    readonly query: QueryMetrics & { readonly slow: number };
    readonly pool: {
      readonly total: number;
      readonly active: number;
      readonly idle: number;
      readonly waiting: number;
    };
  };
  readonly redis: {
    readonly operation: QueryMetrics & HitMetrics;
    readonly memoryBytes: number;
    readonly clients: number;
  };
  readonly prisma: { readonly query: QueryMetrics };
  /** The caches that are attached, together. */
  readonly cache: {
    /** The memory of the isolate. */
    readonly memory: HitMetrics & {
      /** The number of values now. */
      readonly entries: number;
      /** Their approximate size now. */
      readonly bytes: number;
      readonly evictions: number;
    };
    /** Redis as a level of a cache. `failed`: reads and writes that it could not be used for; they are no misses. */
    readonly redis: HitMetrics & { readonly failed: number };
    readonly loads: number;
    readonly failedLoads: number;
    /** Calls that shared the load of another one. */
    readonly sharedLoads: number;
    /** Values that were not fresh: returned while they were loaded again, or because that failed. */
    readonly stale: number;
  };
}

/** Counts operations and their durations. */
export class Operations {
  count = 0;
  failed = 0;
  #minMs = Infinity;
  #maxMs = 0;
  #totalMs = 0;
  readonly #times = new HistogramSeries([...TIME_BUCKETS, Infinity]);

  /** Counts an operation that took `durationMs`. */
  add(durationMs: number, failed: boolean): void {
    this.count++;
    if (failed) this.failed++;
    const ms = sizeOf(durationMs);
    this.#totalMs += ms;
    this.#minMs = Math.min(this.#minMs, ms);
    this.#maxMs = Math.max(this.#maxMs, ms);
    this.#times.observe(ms / 1_000);
  }

  /** Returns what was counted. */
  read(): QueryMetrics {
    const { count, failed } = this;
    if (count === 0) return { count, failed, errorRate: 0, duration: NO_DURATIONS };
    const [min, max] = [this.#minMs, this.#maxMs];
    // Within its bucket, a percentile could lie outside of what was measured.
    const percentile = (share: number) =>
      Math.max(min, Math.min(quantileOf(TIME_BUCKETS, this.#times.counts, share) * 1_000, max));
    const [p50, p95, p99] = [percentile(0.5), percentile(0.95), percentile(0.99)];
    return {
      count,
      failed,
      errorRate: failed / count,
      duration: { avg: this.#totalMs / count, min, max, p50, p95, p99 },
    };
  }
}

const NO_DURATIONS: DurationMetrics = Object.freeze({ avg: 0, min: 0, max: 0, p50: 0, p95: 0, p99: 0 });

/** Returns a duration, a size or a number of connections: what is not one, as of a clock that jumps, counts as 0. */
export function sizeOf(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

/** Returns hits and misses, and their share. */
export function hitsOf(hits: number, misses: number): HitMetrics {
  return { hits, misses, hitRate: hits === 0 ? 0 : hits / (hits + misses) };
}
