/**
 * The base class of services that use direct Postgres.
 *
 * @module
 */
import {
  classifyPostgresFailure,
  drawsOnBudget,
  type LeaseOptions,
  type PostgresConnection,
  type PostgresHealth,
  type PostgresPool,
  type PostgresStats,
} from "../postgres/mod.ts";
import { anySignal, retry, type RetryOptions, RetryTimeoutError } from "../resilience/mod.ts";
import { toServiceError } from "./to_service_error.ts";

/** An operation on a connection; its result is returned unchanged. */
export type PostgresOperation<T> = (connection: PostgresConnection) => PromiseLike<T> | T;

/** Options for {@linkcode PooledPostgresService.withRetry}. */
export interface PostgresRetryOptions
  extends Pick<RetryOptions, "idempotent" | "deadlineMs" | "maxDelayMs" | "onRetry" | "clock" | "random"> {
  /** Options for the lease of each attempt; its `signal` also ends the retries. Default: those of the pool. */
  readonly lease?: LeaseOptions;
}

/**
 * The base class of services that share a pool of Postgres connections, in the shape of `PooledBaseService`. Each
 * operation leases a connection, uses it and releases it, also when it fails.
 *
 * Pass `ctx.postgres` of `withPooledPostgres`, or `manager.as(caller)`, and every statement and transaction runs as the
 * caller, so that row-level security applies.
 *
 * @example A service with a read and a transaction
 * ```ts
 * class NoteService extends PooledPostgresService {
 *   listNotes(): Promise<{ id: string; text: string }[]> {
 *     return this.withPooledClient(async (connection) => {
 *       const { rows } = await connection.query<{ id: string; text: string }>("SELECT id, text FROM notes");
 *       return rows;
 *     });
 *   }
 *
 *   moveNote(id: string, folderId: string): Promise<void> {
 *     return this.withRetry((connection) =>
 *       connection.transaction(async (tx) => {
 *         await tx.query("UPDATE notes SET folder_id = $2 WHERE id = $1", [id, folderId]);
 *         await tx.query("UPDATE folders SET changed_at = now() WHERE id = $1", [folderId]);
 *       })
 *     );
 *   }
 * }
 * ```
 */
export abstract class PooledPostgresService {
  /** The pool. With one that is bound to a caller (`ctx.postgres`), the service acts for that caller. */
  protected readonly pool: PostgresPool;

  /** Creates a service that acts for the caller of `pool`. */
  constructor(pool: PostgresPool) {
    this.pool = pool;
  }

  /**
   * Leases a connection, runs `operation` with it and releases it. The result of `operation` is awaited before the
   * release and returned unchanged.
   *
   * @param options Options for the lease. Its `signal` aborts the wait and the statements of `operation`; the lane
   * `probe` is for health checks.
   * @throws {unknown} What `lease` of the pool throws, such as {@linkcode AcquireTimeoutError}.
   * @throws {unknown} What `operation` throws.
   */
  protected async withPooledClient<T>(operation: PostgresOperation<T>, options?: LeaseOptions): Promise<T> {
    await using connection = await this.pool.lease(options);
    return await operation(connection);
  }

  /**
   * Runs `operation` with a leased connection and retries it after transient failures, serialization failures and
   * deadlocks included: with exponential backoff and jitter, within `deadlineMs` in all (default: 60,000). Each attempt
   * leases a connection of its own, so that none is held during a delay.
   *
   * This bounds the attempts of an operation in one place: do not set `retries` of a transaction inside it. A failure
   * after which the operation may have taken effect is retried only with `idempotent`. The promise settles as the last
   * attempt did.
   *
   * @param maxRetries Maximum number of retries. Default: the pool's `maxRetries` (3).
   * @param delayMs Delay before the first retry, in ms. Default: the pool's `retryDelayMs` (1,000).
   * @throws {ServiceError} `RETRY_TIMEOUT` if an attempt was running at the deadline.
   */
  protected async withRetry<T>(
    operation: PostgresOperation<T>,
    maxRetries: number = this.pool.config.maxRetries,
    delayMs: number = this.pool.config.retryDelayMs,
    options: PostgresRetryOptions = {},
  ): Promise<T> {
    const { lease, ...limits } = options;
    try {
      // Wrapped: a row with columns named data and error is not a failed result.
      const { value } = await retry(
        async ({ signal }) => ({ value: await this.withPooledClient(operation, { ...lease, signal }) }),
        {
          ...limits,
          retries: this.pool.config.retries ? maxRetries : 0,
          delayMs,
          signal: anySignal(lease?.signal, this.pool.signal),
          classify: classifyPostgresFailure,
          budget: this.pool.retryBudget,
          isBudgeted: drawsOnBudget,
        },
      );
      return value;
    } catch (error) {
      throw error instanceof RetryTimeoutError ? toServiceError(error) : error;
    }
  }

  /** Runs {@linkcode withRetry} for operations that may run twice: reads, and writes that set a value. */
  protected withIdempotentRetry<T>(operation: PostgresOperation<T>): Promise<T> {
    return this.withRetry(operation, undefined, undefined, { idempotent: true });
  }

  /** Returns the pool's current statistics. */
  getPoolStats(): PostgresStats {
    return this.pool.getStats();
  }

  /** Checks whether the database answers; see `PostgresPool.healthCheck`. */
  healthCheck(): Promise<PostgresHealth> {
    return this.pool.healthCheck();
  }
}
