/**
 * The base of services on a pool.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { classifyFailure, retry, type RetryOptions } from "../resilience/mod.ts";
import type { PoolStats } from "../pool/mod.ts";
import { type ClientLeaseOptions, type ClientPool, type PoolHealth, transportFailure } from "../supabase/mod.ts";
import { toServiceError, withTransportFailure } from "./service_error.ts";

/** Something done with a client; what it returns is handed on as it is. */
export type ClientOperation<Database, T> = (client: SupabaseClient<Database>) => PromiseLike<T> | T;

/** More options of {@linkcode PooledBaseService.withRetry}. */
export interface WithRetryOptions
  extends Pick<RetryOptions, "idempotent" | "deadlineMs" | "maxDelayMs" | "onRetry" | "clock" | "random"> {
  /** How each attempt leases its client; its `signal` also ends the retries. Default: as the pool does. */
  readonly lease?: ClientLeaseOptions;
}

/**
 * The base of services that share a pool. Each operation leases a client, uses
 * it and gives it back, whatever happens.
 *
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
  /** The pool; one bound to a caller (`ctx.pool`) makes the service act for that caller. */
  protected readonly pool: ClientPool<Database>;

  constructor(pool: ClientPool<Database>) {
    this.pool = pool;
  }

  /**
   * Leases a client, runs `operation` with it and gives it back. What
   * `operation` returns is awaited before that and returned as it is: where it
   * is a result of supabase-js, so is the result here, `error` included.
   *
   * @throws what `lease` of the pool throws, such as {@linkcode AcquireTimeoutError}.
   * @throws what `operation` throws.
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
   * Runs `operation` with a leased client, again where it fails in a way that
   * may pass: with exponential backoff and jitter, and within `deadlineMs` in
   * all (60,000 unless told otherwise). It fails by throwing or by returning
   * `{ data, error }`. Each attempt leases anew, so that nothing is held while
   * it waits.
   *
   * What may have been carried out already is retried only when it is said to
   * be `idempotent`. The last attempt's outcome is the outcome: what it
   * returned, or what it threw with its causes.
   *
   * @param maxRetries How often to try again. Default: the pool's `maxRetries`, 3 unless configured.
   * @param delayMs Delay before the first retry, in ms. Default: the pool's `retryDelayMs`, 100 unless configured.
   * @throws {ServiceError} `RETRY_TIMEOUT`, when an attempt still ran at the deadline.
   */
  protected async withRetry<T>(
    operation: ClientOperation<Database, T>,
    maxRetries: number = this.pool.config.maxRetries,
    delayMs: number = this.pool.config.retryDelayMs,
    options: WithRetryOptions = {},
  ): Promise<T> {
    const { lease, ...limits } = options;
    let transport: unknown;
    const attempt = async (client: SupabaseClient<Database>, signal: AbortSignal): Promise<T> => {
      const outcome = await untilAborted(operation(client), signal);
      const error = typeof outcome === "object" && outcome !== null ? Reflect.get(outcome, "error") : undefined;
      transport = transportFailure(client, error);
      return outcome;
    };
    try {
      return await retry(
        ({ signal }) => {
          transport = undefined;
          return this.withPooledClient((client) => attempt(client, signal), { ...lease, signal });
        },
        {
          ...limits,
          retries: maxRetries,
          delayMs,
          signal: either(lease?.signal, this.pool.signal),
          classify: (failure) => classifyFailure(transport ?? failure),
        },
      );
    } catch (error) {
      throw error instanceof Error && error.name === "RetryTimeoutError" ? toServiceError(error) : error;
    }
  }

  /** {@linkcode withRetry} for what may be done twice: reads, and writes that set a value. */
  protected withIdempotentRetry<T>(operation: ClientOperation<Database, T>): Promise<T> {
    return this.withRetry(operation, undefined, undefined, { idempotent: true });
  }

  /** How the pool stands. */
  getPoolStats(): PoolStats {
    return this.pool.getStats();
  }

  /** Whether the pool can do its work; see `ClientPool.healthCheck`. */
  healthCheck(): Promise<PoolHealth> {
    return this.pool.healthCheck();
  }

  /**
   * Throws what `failure` means to a caller; see `toServiceError`.
   *
   * @param failure An error of supabase-js, or a whole result that has one: with its status, it says more.
   * @throws {ServiceError}
   */
  protected handleError(failure: unknown): never {
    throw toServiceError(failure);
  }
}

function either(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : one ?? other;
}

/** What `work` settles as, or the signal's reason: work that takes no notice of a signal must not keep its client. */
function untilAborted<T>(work: PromiseLike<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    Promise.resolve(work).then(resolve, reject);
  });
}
