/**
 * Metrics: instruments, snapshots that can be added up over isolates, and the text format of Prometheus.
 *
 * @module
 */
export { AGE_BUCKETS, quantileOf, TIME_BUCKETS } from "./buckets.ts";
export { CACHE_LABEL } from "./cache_instruments.ts";
export type { CollectedMetrics, DurationMetrics, HitMetrics, QueryMetrics } from "./collected.ts";
export { type AttachOptions, MetricsCollector, metricsCollector, type ObservedRedis } from "./collector.ts";
export { MetricError } from "./errors.ts";
export {
  Counter,
  CounterSeries,
  Gauge,
  GaugeSeries,
  Histogram,
  HistogramSeries,
  Instrument,
  type InstrumentOptions,
} from "./instruments.ts";
export { type Labels, MAX_LABEL_LENGTH } from "./names.ts";
export { observeCache } from "./observe_cache.ts";
export { observePool } from "./observe_pool.ts";
export type { ObservedCache, ObservedCacheStats } from "./observed_cache.ts";
export type {
  LeaseRecorder,
  ObservedEvents,
  ObservedPool,
  ObservedStatement,
  ObservedStats,
  StatementRecorder,
} from "./observed_pool.ts";
export { type Metrics, metricsOf, POOL_LABEL } from "./pool_instruments.ts";
export { prismaMetrics, type PrismaMetricsExtension } from "./prisma.ts";
export { PROMETHEUS_TYPE, toPrometheusText } from "./prometheus.ts";
export { type MeasuredRequest, RequestMetrics } from "./request_metrics.ts";
export {
  type GaugeOptions,
  type HistogramOptions,
  type MetricOptions,
  MetricsRegistry,
  metricsRegistry,
} from "./registry.ts";
export {
  labelSnapshot,
  mergeSnapshots,
  type MetricSnapshot,
  type MetricsSnapshot,
  type MetricType,
  parseSnapshot,
  type SeriesSnapshot,
} from "./snapshot.ts";
