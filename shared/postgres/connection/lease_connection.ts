/**
 * Leases connections from the pool.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  type Lease,
  LeaseRevokedError,
  PoolClosedError,
  type ResourcePool,
} from "../../pool/mod.ts";
import { anySignal, type Clock, timeoutSignal } from "../../resilience/mod.ts";
import { PostgresError } from "../errors/server_error.ts";
import type { LeaseOptions } from "../query/query_options.ts";
import { CANCELED } from "../wire/batch.ts";
import type { BackendConnection } from "./backend_connection.ts";

/** Leases a connection. Statements of other callers may still be in flight on it. */
export async function leaseShared(
  pool: ResourcePool<BackendConnection>,
  { lane, signal, flow, acquireTimeoutMs: timeoutMs }: LeaseOptions,
): Promise<Lease<BackendConnection>> {
  const lease = await pool.lease({ lane, signal, timeoutMs, flow });
  throwIfRevoked(lease);
  return lease;
}

/**
 * Throws the error of a wait for a connection, for work whose caller knows nothing of connections: if it was aborted, the
 * reason.
 */
export function throwReason(error: unknown): never {
  throw error instanceof AcquireAbortedError ? error.cause : error;
}

/** A shutdown may have revoked a lease since it was granted. */
function throwIfRevoked(lease: Lease<BackendConnection>): void {
  if (!lease.active) throw new PoolClosedError();
}

/** Returns options for the rest of a wait for a connection that began at `since`, in ms of the clock. */
export function restOf<O extends LeaseOptions>(
  options: O,
  pool: ResourcePool<BackendConnection>,
  clock: Clock,
  since: number,
): O {
  const { acquireTimeoutMs = pool.config.acquireTimeoutMs } = options;
  return { ...options, acquireTimeoutMs: Math.max(1, Math.ceil(since + acquireTimeoutMs - clock.now())) };
}

/** Leases a connection for one holder alone. */
export async function leaseConnection(
  pool: ResourcePool<BackendConnection>,
  options: LeaseOptions,
  clock: Clock,
): Promise<Lease<BackendConnection>> {
  const since = clock.now();
  let lease = await leaseShared(pool, options);
  while (!lease.resource.isWireIdle) {
    await waitUntilIdle(lease, pool, options, clock, since);
    // It was closed behind what was in flight on it, or broke: another one takes its place.
    if (!lease.resource.death) break;
    lease[Symbol.dispose]();
    lease = await leaseShared(pool, restOf(options, pool, clock, since));
  }
  if (options.admit) admit(lease, options.admit);
  return lease;
}

/**
 * Asks the caller whether the connection will do.
 *
 * @throws what `check` throws; the lease has been released.
 */
export function admit(lease: Lease<BackendConnection>, check: NonNullable<LeaseOptions["admit"]>): void {
  try {
    check(lease.resource);
  } catch (error) {
    lease[Symbol.dispose]();
    throw error;
  }
}

/**
 * Waits until the statements of other callers have been answered, for as long as the wait for a connection may last.
 *
 * @param since When that wait began, in ms of the clock.
 * @throws {AcquireTimeoutError} when they were not answered in time; the lease has been released.
 * @throws {AcquireAbortedError} when the caller aborted; the lease has been released.
 * @throws {PoolClosedError} when a shutdown revoked the lease.
 */
export async function waitUntilIdle(
  lease: Lease<BackendConnection>,
  pool: ResourcePool<BackendConnection>,
  { signal, acquireTimeoutMs = pool.config.acquireTimeoutMs }: LeaseOptions,
  clock: Clock,
  since: number,
): Promise<void> {
  const late = () =>
    new AcquireTimeoutError(
      `Connection acquire timeout: the statements of other callers on the connection that became available were ` +
        `not completed within ${acquireTimeoutMs} ms`,
    );
  using timeout = timeoutSignal(Math.max(0, since + acquireTimeoutMs - clock.now()), clock, late);
  const ending = anySignal(timeout.signal, signal) ?? timeout.signal;
  try {
    await abortable(lease.resource.drained(), ending);
  } catch (error) {
    lease[Symbol.dispose]();
    throw timeout.signal.aborted ? error : new AcquireAbortedError(signal?.reason);
  }
  throwIfRevoked(lease);
}

/**
 * Returns the error to throw to the holder of a lease: where a statement was canceled because a shutdown revoked the
 * lease, the revocation.
 */
export function toRevocationError(error: unknown, lease: Lease<BackendConnection>): unknown {
  if (lease.active || !(error instanceof PostgresError) || error.code !== CANCELED) return error;
  const reason: unknown = lease.signal.reason;
  return reason instanceof LeaseRevokedError ? reason : error;
}
