/**
 * The pool core. It knows nothing of what it pools: see
 * {@linkcode ResourceFactory}, which is all there is to extend.
 *
 * @module
 */
export type { AcquireOptions } from "./acquire_options.ts";
export * from "./config.ts";
export * from "./errors.ts";
export type { DestroyReason, ErrorSource, PoolEvents } from "./events.ts";
export type { Lane } from "./lane.ts";
export { Lease, type ReleaseOptions } from "./lease.ts";
export type { PoolLimits } from "./limits.ts";
export type { PoolRecorder } from "./recorders.ts";
export * from "./resource_factory.ts";
export { type PoolRuntime, ResourcePool } from "./resource_pool.ts";
export type { ConnectionPoolStats, PoolStats } from "./stats.ts";
