/**
 * Taking connections from the pool.
 *
 * @module
 */
import {
  AcquireAbortedError,
  type AcquireOptions,
  AcquireTimeoutError,
  type Lease,
  LeaseRevokedError,
  PoolClosedError,
  type ResourcePool,
} from "../../pool/mod.ts";
import type { Clock } from "../../resilience/mod.ts";
import { PostgresError } from "../errors/errors.ts";
import type { QueryOptions } from "../query/query_options.ts";
import type { Session } from "./session.ts";

/** Takes a connection from the pool. Statements of others may still be under way on it. */
export async function leaseShared(pool: ResourcePool<Session>, options: QueryOptions): Promise<Lease<Session>> {
  const { lane, signal, acquireTimeoutMs: timeoutMs } = options;
  const acquireOptions: AcquireOptions = { lane, signal, timeoutMs };
  const lease = await pool.lease(acquireOptions);
  // A shutdown may have taken it back since it was granted.
  if (!lease.active) throw new PoolClosedError();
  return lease;
}

/** Takes a connection from the pool, for its holder alone. */
export async function leaseSession(
  pool: ResourcePool<Session>,
  options: QueryOptions,
  clock: Clock,
): Promise<Lease<Session>> {
  const since = clock.now();
  const lease = await leaseShared(pool, options);
  if (!lease.resource.quiet) await emptied(lease, pool, options, clock, since);
  return lease;
}

/**
 * Waits until the statements of others have been answered, for as long as the wait for a connection may last.
 *
 * @param since When that wait began, in ms of the clock.
 * @throws {AcquireTimeoutError} when they were not in time; the lease has been given back.
 * @throws {AcquireAbortedError} when the caller gave up; the lease has been given back.
 */
export async function emptied(
  lease: Lease<Session>,
  pool: ResourcePool<Session>,
  { signal, acquireTimeoutMs = pool.config.acquireTimeoutMs }: QueryOptions,
  clock: Clock,
  since: number,
): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const aborted = () => reject(new AcquireAbortedError(signal?.reason));
  const late = () =>
    reject(
      new AcquireTimeoutError(
        `Connection acquire timeout: the statements of others on the one that came free were not answered within ${acquireTimeoutMs} ms`,
      ),
    );
  const leftMs = Math.max(0, since + acquireTimeoutMs - clock.now());
  const timer = leftMs === Infinity ? undefined : clock.setTimer(late, leftMs);
  signal?.addEventListener("abort", aborted, { once: true });
  if (signal?.aborted) aborted();
  try {
    await Promise.race([lease.resource.drained(), promise]);
  } catch (error) {
    lease[Symbol.dispose]();
    throw error;
  } finally {
    timer?.cancel();
    signal?.removeEventListener("abort", aborted);
  }
}

/** SQLSTATE of a statement that was cancelled. */
const CANCELED = "57014";

/**
 * What its holder is told of an error: where a statement was cancelled because
 * the pool, shut down, took its connection back, that is it.
 */
export function explainLoss(error: unknown, lease: Lease<Session>): unknown {
  if (lease.active || !(error instanceof PostgresError) || error.code !== CANCELED) return error;
  const reason: unknown = lease.signal.reason;
  return reason instanceof LeaseRevokedError ? reason : error;
}
