/**
 * Pooled Supabase clients.
 *
 * @module
 */
export type { ClientLease, ClientLeaseOptions, ClientPool, DeferredLease } from "./scope/client_lease.ts";
export * from "./config.ts";
export * from "./errors.ts";
export type { PoolHealth } from "./health.ts";
export type { Identity } from "./identity.ts";
export { kindOfKey, type PoolKind } from "./keys.ts";
export type { ClientSession, SessionOptions } from "./scope/session.ts";
export { SupabaseConnectionPool } from "./supabase_connection_pool.ts";
export { transportFailure } from "./view/view.ts";
