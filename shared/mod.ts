/**
 * The public surface of the library, for functions: the handler wrapper, services, pools of Supabase clients and the
 * pool core below them.
 *
 * More entry points: `http/hono.ts`, `http/fields.ts`, `http/postgres.ts`, `postgres/mod.ts`, `data/mod.ts` and `cache/mod.ts`. Each is
 * loaded and uploaded only by the functions that import it.
 *
 * @module
 */

// The wrapper of an edge function, and the context it passes to the handler.
export {
  type AuthOption,
  type ClientOptions,
  type CorsFunction,
  type CorsOption,
  type FlowKey,
  type HandlerScope,
  type LeaseDefaults,
  type LogLevel,
  type LogSettings,
  type LogSink,
  type MetricsOptions,
  type PooledContext,
  type PooledHandler,
  type PooledSupabaseOptions,
  type PoolSource,
  type Rejection,
  type RequestClientPool,
  type RequestPool,
  type RuntimeOptions,
  type TracedPostgres,
  type TracedTimes,
  type TracedWork,
  withPooledSupabase,
} from "./http/mod.ts";

// Metrics, as `metrics` of the handler takes them. The entry point of observability has their values.
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
} from "./http/mod.ts";

// Reading a request.
export { readJson, type ReadJsonOptions, readParam, readQuery } from "./http/mod.ts";

// Responses: JSON, problems (RFC 9457) and health.
export {
  type AlertEvent,
  type AlertRuleName,
  BodyTooLargeError,
  createdResponse,
  DeadlineExceededError,
  DocumentedRequestError,
  type FleetOptions,
  type FleetRedis,
  type FleetSettings,
  type HealthProbe,
  healthRoute,
  type HealthRouteOptions,
  jsonNoStore,
  MalformedJsonError,
  MethodNotAllowedError,
  MetricsOffError,
  problem,
  type ProblemField,
  type ProblemInit,
  RequestError,
  RouteNotFoundError,
  UnexpectedError,
  UnsupportedMediaTypeError,
  ValidationError,
} from "./http/mod.ts";

// Services.
export {
  ApiKeyRejectedError,
  BaseService,
  type ClientOperation,
  type CountedResult,
  NotFoundError,
  type Page,
  type PageRequest,
  PooledBaseService,
  readPage,
  ServiceError,
  type ServiceErrorCode,
  type ServiceErrorInit,
  SupabaseService,
  type SupabaseServiceOptions,
  toServiceError,
  UpstreamFailedError,
  UpstreamUnavailableError,
  type WithRetryOptions,
} from "./services/mod.ts";

// Retries, circuit breakers, time, and the description of errors.
export {
  type CallJudge,
  type CallOutcome,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitEvents,
  CircuitOpenError,
  type CircuitPermit,
  type CircuitSnapshot,
  type Clock,
  type ErrorCodes,
  type FailedAttempt,
  type FailureKind,
  type HttpDescription,
  type Listener,
  type OpenReason,
  type RefusalReason,
  RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetStats,
  type RetryEvent,
  type RetryOptions,
  RetryTimeoutError,
  type SettledCall,
  type Timer,
  type TimerOptions,
} from "./resilience/mod.ts";

// The environment of a function.
export { type Environment, type HandlerSettings, type LegacyKeys, readEnvironment } from "./http/mod.ts";
export { readSupabaseEnvironment, type SupabaseEnvironment } from "./supabase/mod.ts";
export type { Variables } from "./environment/mod.ts";

// Pools of Supabase clients.
export {
  type AdaptiveLimitMode,
  type CallerScope,
  type CallPoolEvents,
  type CircuitPoolEvents,
  type CircuitStates,
  type ClientLease,
  type ClientLeaseOptions,
  type ClientPool,
  type ClientPoolEvents,
  type ConnectionPoolConfig,
  DEFAULT_SUPABASE_POOL_CONFIG,
  type HealthPoolEvents,
  type HealthQuery,
  type Identity,
  type PoolCircuits,
  type PoolHealth,
  type PoolKind,
  type ScopeEnd,
  type ScopeOptions,
  SupabaseConnectionPool,
  type SupabasePoolConfig,
  type WithoutEffect,
} from "./supabase/mod.ts";

// The pool core, for other kinds of resources.
export {
  type AcquireLane,
  type AcquireOptions,
  type CircuitBreakerConfig,
  type ConnectionPoolStats,
  type CreateContext,
  DEFAULT_POOL_CONFIG,
  type DestroyReason,
  type ErrorSource,
  type Flow,
  type Lane,
  type Lease,
  type LeaseInfo,
  type PoolConfig,
  type PoolEvents,
  type PoolLimits,
  type PoolLoad,
  type PoolRecorder,
  type PoolRuntime,
  type PoolStats,
  type PresetName,
  PRESETS,
  type ReleaseOptions,
  type ResourceFactory,
  ResourcePool,
  type RetryBudgetConfig,
  type WeightedFlow,
} from "./pool/mod.ts";

// Errors of pools. Each has a stable `code`.
export {
  AcquireAbortedError,
  AcquireTimeoutError,
  ConfigError,
  type ConfigIssue,
  CreateFailedError,
  CreateTimeoutError,
  DoubleReleaseError,
  ForeignReleaseError,
  HookTimeoutError,
  LateReleaseError,
  LeaseReleasedError,
  LeaseRevokedError,
  NoResourceError,
  PoolClosedError,
  PoolError,
  type PoolErrorCode,
  QueueFullError,
  ResourceInvalidError,
} from "./pool/mod.ts";

// Errors of Supabase clients.
export {
  ForeignAddressError,
  IdentityError,
  RedirectError,
  RequestTimeoutError,
  type SupabaseErrorCode,
  UrlTooLongError,
  ViewRestrictedError,
} from "./supabase/mod.ts";
