/**
 * The base class of services that use a pool.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { SupabaseClient } from "@supabase/supabase-js";
import { anySignal, memberOf, retry, type RetryOptions, RetryTimeoutError } from "../resilience/mod.ts";
import type { PoolStats } from "../pool/mod.ts";
import { type ClientLeaseOptions, type ClientPool, type PoolHealth, transportFailure } from "../supabase/mod.ts";
import { toServiceError, withTransportFailure } from "./to_service_error.ts";

/** An operation on a client; its result is returned unchanged. */
export type ClientOperation<Database, T> = (client: SupabaseClient<Database>) => PromiseLike<T> | T;

/** Options for {@linkcode PooledBaseService.withRetry}. */
export interface WithRetryOptions
  extends Pick<RetryOptions, "idempotent" | "deadlineMs" | "maxDelayMs" | "onRetry" | "clock" | "random"> {
  /** Options for the lease of each attempt; its `signal` also ends the retries. Default: those of the pool. */
  readonly lease?: ClientLeaseOptions;
}

/**
 * The base class of services that share a pool. Each operation leases a client,
 * uses it and releases it, also when it fails.
 *
 * @example
 * ```ts
 * class NoteService extends PooledBaseService<Database> {
 *   listNotes(): Promise<Note[]> {
 *     return this.withPooledClient(async (client) => {
 *       const { data, error } = await client.from("notes").select("*");
 *       if (error) this.handleError(error);
 *       return data;
 *     });
 *   }
 * }
 * ```
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
export abstract class PooledBaseService<Database = any> {
  /** The pool. With a pool that is bound to a caller (`ctx.pool`), the service acts for that caller. */
  protected readonly pool: ClientPool<Database>;

  /** Creates a service that acts for the caller of `pool`. */
  constructor(pool: ClientPool<Database>) {
    this.pool = pool;
  }

  /**
   * Leases a client, runs `operation` with it and releases it. The result of
   * `operation` is awaited before the release and returned unchanged: a result
   * of supabase-js keeps its `error`.
   *
   * @throws {unknown} What `lease` of the pool throws, such as {@linkcode AcquireTimeoutError}.
   * @throws {unknown} What `operation` throws.
   */
  protected async withPooledClient<T>(
    operation: ClientOperation<Database, T>,
    options?: ClientLeaseOptions,
  ): Promise<T> {
    await using lease = await this.pool.lease(options);
    try {
      return await operation(lease.client);
    } catch (error) {
      throw withTransportFailure(error, lease.client);
    }
  }

  /**
   * Runs `operation` with a leased client and retries it after transient
   * failures: with exponential backoff and jitter, within `deadlineMs` in all
   * (default: 60,000). It fails by throwing or by returning `{ data, error }`
   * with an error. Each attempt leases a client of its own, so that no client is
   * held during a delay; it does not retry reads by itself, as other clients of the pool do.
   *
   * A failure after which the operation may have taken effect is retried only
   * with `idempotent`. The promise settles as the last attempt did: it resolves
   * with what that returned, or rejects with what that threw, causes included.
   *
   * @param maxRetries Maximum number of retries. Default: the pool's `maxRetries` (3).
   * @param delayMs Delay before the first retry, in ms. Default: the pool's `retryDelayMs` (100).
   * @throws {ServiceError} `RETRY_TIMEOUT` if an attempt was running at the deadline.
   */
  protected async withRetry<T>(
    operation: ClientOperation<Database, T>,
    maxRetries: number = this.pool.config.maxRetries,
    delayMs: number = this.pool.config.retryDelayMs,
    options: WithRetryOptions = {},
  ): Promise<T> {
    const { lease: leaseOptions, ...limits } = options;
    const { signal: poolSignal } = this.pool;
    let latest: SupabaseClient<Database> | undefined;
    try {
      return await retry(({ signal }) =>
        this.withPooledClient((client) => {
          latest = client;
          // An operation that ignores the signal must not keep its client.
          return abortable(Promise.resolve(operation(client)), signal);
        }, { ...leaseOptions, signal, retryReads: false }), {
        ...limits,
        retries: this.pool.config.retries ? maxRetries : 0,
        delayMs,
        signal: leaseOptions?.signal ? anySignal(leaseOptions.signal, poolSignal) : poolSignal,
        timeLeftMs: this.pool.timeLeftMs,
        budget: this.pool.retryBudget,
        explain: (failure) => transportFailure(latest, memberOf(failure, "error") ?? failure) ?? failure,
      });
    } catch (error) {
      throw error instanceof RetryTimeoutError ? toServiceError(error) : error;
    }
  }

  /** Runs {@linkcode withRetry} for operations that may run twice: reads, and writes that set a value. */
  protected withIdempotentRetry<T>(operation: ClientOperation<Database, T>): Promise<T> {
    return this.withRetry(operation, undefined, undefined, { idempotent: true });
  }

  /** Returns the pool's current statistics. */
  getPoolStats(): PoolStats {
    return this.pool.getStats();
  }

  /** Checks whether the pool can reach its project; see `ClientPool.healthCheck`. */
  healthCheck(): Promise<PoolHealth> {
    return this.pool.healthCheck();
  }

  /**
   * Throws `failure` as a `ServiceError`; see `toServiceError`.
   *
   * @param failure An error of supabase-js, or a whole result with an error: its status makes the error more precise.
   * @throws {ServiceError} Always.
   */
  protected handleError(failure: unknown): never {
    throw toServiceError(failure);
  }
}
