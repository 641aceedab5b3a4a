/**
 * The observability of pools: structured logs in the form of the specification, correlated, bounded and without secrets.
 *
 * @example
 * ```ts
 * const log = new StructuredLog();
 * Deno.serve((request) => {
 *   log.info("greeted", { correlationId: () => correlationIdOf(request) });
 *   return new Response("hello");
 * });
 * ```
 *
 * @module
 */

// Structured logs.
export {
  CORRELATION_ID_HEADER,
  correlationIdOf,
  describeError,
  type ErrorDescription,
  type ErrorSummary,
  type LogData,
  type LogEntry,
  type LogEvent,
  type LogFormat,
  type LogLevel,
  type LogSink,
  MAX_LINE_LENGTH,
  redact,
  StructuredLog,
  type StructuredLogOptions,
  withoutRowValues,
} from "./log/mod.ts";

// Metrics.
export {
  AGE_BUCKETS,
  type AttachOptions,
  CACHE_LABEL,
  type CollectedMetrics,
  Counter,
  CounterSeries,
  type DurationMetrics,
  Gauge,
  type GaugeOptions,
  GaugeSeries,
  Histogram,
  type HistogramOptions,
  HistogramSeries,
  type HitMetrics,
  type InstrumentOptions,
  type Labels,
  labelSnapshot,
  type LeaseRecorder,
  MAX_LABEL_LENGTH,
  type MeasuredRequest,
  mergeSnapshots,
  MetricError,
  type MetricOptions,
  type Metrics,
  MetricsCollector,
  metricsCollector,
  type MetricSnapshot,
  metricsOf,
  MetricsRegistry,
  metricsRegistry,
  type MetricsSnapshot,
  type MetricType,
  observeCache,
  type ObservedCache,
  type ObservedCacheStats,
  type ObservedEvents,
  type ObservedPool,
  type ObservedRedis,
  type ObservedStatement,
  type ObservedStats,
  observePool,
  parseSnapshot,
  POOL_LABEL,
  prismaMetrics,
  type PrismaMetricsExtension,
  PROMETHEUS_TYPE,
  quantileOf,
  type QueryMetrics,
  RequestMetrics,
  type SeriesSnapshot,
  type StatementRecorder,
  TIME_BUCKETS,
  toPrometheusText,
} from "./metrics/mod.ts";

// Monitors.
export {
  addHealthSource,
  addPrioritySource,
  type CheckedService,
  type CheckResult,
  type ConnectionHealthMetrics,
  ConnectionHealthMonitor,
  type ConnectionHealthMonitorOptions,
  ConnectionMonitor,
  connectionMonitor,
  type ConnectionMonitorEvents,
  type ConnectionMonitorListener,
  type ConnectionMonitorOptions,
  type CountedPool,
  type HealthStatus,
  monitors,
  monitorsOf,
  type PoolCounts,
  type Priority,
  type PriorityMonitors,
  type PriorityPools,
  type PrioritySource,
  type RecordedError,
  type ServiceHealth,
} from "./monitors/mod.ts";

// Single requests.
export {
  type LoggedPool,
  PoolLog,
  type PoolLogOptions,
  SlowRequests,
  type SlowRequestsOptions,
  type TimedRequest,
} from "./tracing/mod.ts";
export {
  installOpenTelemetry,
  type MeteredPool,
  type MeteredStats,
  OpenTelemetry,
  type OpenTelemetryApi,
  type RequestSpan,
  type TracedPostgres,
  type TracedTimes,
  type TracedWork,
} from "./tracing/otel/mod.ts";

// The fleet.
export {
  type CappedLimits,
  type CappedPool,
  DataApiFleetStore,
  type DataApiFleetStoreOptions,
  FLEET_VERSION,
  FleetCap,
  type FleetCapOptions,
  type FleetDetail,
  type FleetGroup,
  type FleetIdentity,
  type FleetInterval,
  type FleetIsolate,
  type FleetPercentiles,
  type FleetPool,
  type FleetPoolStats,
  type FleetRedis,
  type FleetReply,
  type FleetReport,
  FleetReporter,
  type FleetReporterOptions,
  type FleetState,
  type FleetStore,
  FleetStoreError,
  type FleetStoreFailure,
  type FleetTimes,
  type FleetTotals,
  groupsOf,
  type ObservedRequest,
  openCircuits,
  percentilesOf,
  RedisFleetStore,
  type RedisFleetStoreOptions,
  type SlowRequest,
  sumStats,
  sumTimes,
  TIME_BOUNDS_MS,
  totalsOf,
} from "./fleet/mod.ts";

// Alerts.
export {
  ALERT_RULES,
  type AlertChange,
  type AlertEvaluation,
  type AlertEvent,
  AlertNotifier,
  type AlertNotifierOptions,
  type AlertRule,
  type AlertRuleName,
  type AlertState,
  type AlertStore,
  AlertWebhook,
  type AlertWebhookOptions,
  type AppliedChange,
  evaluateAlerts,
  type FleetSample,
} from "./alerts/mod.ts";
