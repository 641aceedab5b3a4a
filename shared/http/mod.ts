/**
 * HTTP: credentials, pooled clients, input, responses and health.
 *
 * @module
 */

// The wrapper and its options.
export type { ClientOptions } from "./handler/client_options.ts";
export {
  type AuthOption,
  type PooledHandler,
  type PooledSupabaseOptions,
  type Rejection,
  withPooledSupabase,
} from "./handler/with_pooled_supabase.ts";
export type { HandlerScope, PoolSource, RequestPool, RuntimeOptions } from "./handler/runtime.ts";
export type { LogLevel, LogSink } from "../observability/log/mod.ts";
export type { LogSettings } from "./logging/pool_events.ts";
export type { MetricsOptions } from "./metrics/metrics_link.ts";
export type { TracedPostgres, TracedTimes, TracedWork } from "../observability/tracing/otel/mod.ts";
export type {
  Counter,
  CounterSeries,
  Gauge,
  GaugeOptions,
  GaugeSeries,
  Histogram,
  HistogramOptions,
  HistogramSeries,
  Instrument,
  InstrumentOptions,
  Labels,
  MetricOptions,
  MetricSnapshot,
  MetricsRegistry,
  MetricsSnapshot,
  MetricType,
  SeriesSnapshot,
} from "../observability/metrics/mod.ts";
export type { FlowKey, LeaseDefaults, PooledContext, RequestClientPool } from "./request/pooled_context.ts";
export { DeadlineExceededError } from "./request/request_errors.ts";

// The environment of a function.
export type { LegacyKeys } from "./auth/legacy_keys.ts";
export { type Environment, readEnvironment } from "./handler/environment.ts";
export type { HandlerSettings } from "./handler/handler_settings.ts";

// Input.
export { readJson, type ReadJsonOptions, readParam, readQuery } from "./routing/input.ts";

// Responses.
export { createdResponse, jsonNoStore } from "./responses/json.ts";
export type { CorsFunction, CorsOption } from "./responses/cors.ts";
export {
  BodyTooLargeError,
  DocumentedRequestError,
  MalformedJsonError,
  MethodNotAllowedError,
  MetricsOffError,
  problem,
  type ProblemField,
  type ProblemInit,
  RequestError,
  RouteNotFoundError,
  UnsupportedMediaTypeError,
  ValidationError,
} from "./responses/problem.ts";
export { UnexpectedError } from "./responses/error_response.ts";
export { type HealthProbe, healthRoute, type HealthRouteOptions } from "./health/health.ts";
export type { FleetPage, FleetPageIsolate, FleetPageRequest } from "./health/fleet_response.ts";
export type { FleetOptions } from "./fleet/fleet_options.ts";
export type { FleetSettings } from "./fleet/fleet_settings.ts";
export type { FleetRedis } from "../observability/fleet/mod.ts";
export type { AlertEvent, AlertRuleName } from "../observability/alerts/mod.ts";
