/**
 * The pool core. It depends on nothing it pools: {@linkcode ResourceFactory} is its whole extension surface.
 *
 * @module
 */

// The pool and its leases.
export type { AcquireOptions } from "./acquire_options.ts";
export type { Flow, WeightedFlow } from "./fair_queue.ts";
export type { AcquireLane, Lane } from "./lane.ts";
export type { Lease, ReleaseOptions } from "./lease.ts";
export type { CreateContext, ResourceFactory } from "./resource_factory.ts";
export { type PoolRuntime, ResourcePool } from "./resource_pool.ts";

// Configuration.
export {
  checkEachOption,
  type CheckedOptions,
  DEFAULT_POOL_CONFIG,
  type LazySchema,
  lazySchema,
  limitedConnections,
  parseConfig,
  parsePoolConfig,
  type PoolConfig,
  poolConfigShape,
  type PresetName,
  PRESETS,
  whole,
  yesOrNo,
} from "./config.ts";
export type { PoolLimits, PoolLoad } from "./capacity.ts";
export { type CircuitBreakerConfig, optionsOf, resilienceShape, type RetryBudgetConfig } from "./resilience_options.ts";

// Observation.
export type { DestroyReason, ErrorSource, LeaseInfo, PoolEvents, PoolRecorder } from "./events.ts";
export type { ConnectionPoolStats, PoolStats } from "./stats.ts";

// Errors.
export {
  AcquireAbortedError,
  AcquireTimeoutError,
  ConfigError,
  type ConfigIssue,
  DoubleReleaseError,
  ForeignReleaseError,
  LateReleaseError,
  LeaseReleasedError,
  LeaseRevokedError,
  PoolClosedError,
  PoolError,
  type PoolErrorCode,
  QueueFullError,
} from "./errors.ts";
export {
  CreateFailedError,
  CreateTimeoutError,
  HookTimeoutError,
  NoResourceError,
  ResourceInvalidError,
} from "./resource_errors.ts";
