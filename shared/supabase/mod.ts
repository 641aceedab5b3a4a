/**
 * Pools of Supabase clients.
 *
 * @module
 */

// The pool.
export { SupabaseConnectionPool, type SupabasePoolRuntime } from "./supabase_connection_pool.ts";
export {
  type CallPoolEvents,
  type CircuitPoolEvents,
  type CircuitStates,
  type ClientPoolEvents,
  type HealthPoolEvents,
  PoolCircuits,
} from "./circuits.ts";
export { type PoolHealth, toTestQuery, uncheckedHealth } from "./health.ts";
export { type PoolSwitch, switchedOff } from "./switches.ts";
export type { Identity } from "./identity.ts";
export { decodeClaims, kindOfKey, type PoolKind } from "./keys.ts";

// Configuration.
export {
  type AdaptiveLimitMode,
  AUTO_CEILING,
  type ConnectionPoolConfig,
  DEFAULT_SUPABASE_POOL_CONFIG,
  type HealthQuery,
  parseSupabasePoolConfig,
  type SupabasePoolConfig,
  supabasePoolConfigShape,
  type WithoutEffect,
} from "./config.ts";

// The environment of a project's pools.
export { readProjectVariables, readSupabaseEnvironment, type SupabaseEnvironment } from "./environment.ts";

// Scopes, leases and the views they hand out.
export type { CallerScope, ScopeEnd, ScopeOptions } from "./scope/caller_scope.ts";
export type { ClientLease, ClientLeaseOptions, ClientPool } from "./scope/client_lease.ts";
export { transportFailure } from "./view/view.ts";

// Errors.
export {
  ForeignAddressError,
  IdentityError,
  RedirectError,
  RequestTimeoutError,
  type SupabaseErrorCode,
  URL_HINT,
  UrlTooLongError,
  ViewRestrictedError,
} from "./errors.ts";
