/**
 * Leases of Supabase clients.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { AcquireOptions, Flow, PoolStats, ReleaseOptions } from "../../pool/mod.ts";
import type { SupabasePoolConfig } from "../config.ts";
import type { RetryBudget } from "../../resilience/mod.ts";
import type { PoolHealth } from "../health.ts";
import type { Identity } from "../identity.ts";

/** Options of a lease of a client. */
export interface ClientLeaseOptions extends AcquireOptions {
  /** The identity that the lease acts for. Default: the pool's own, anonymous or admin. */
  identity?: Identity | undefined;
  /**
   * The flow whose share of the pool the lease takes, in a pool with `fairShare`. Default: that of the identity. A scope
   * has one flow for all its leases, which counts in place of this.
   */
  flow?: Flow | undefined;
  /** Ends the wait when it aborts, and aborts every call of the lease: the caller has disconnected, for example. */
  signal?: AbortSignal | undefined;
  /**
   * False if the holder retries by itself, as `withRetry` does. Default: the pool's `retryReads` (true): the client
   * retries reads as plain supabase-js does, after 503, 520 and network errors.
   */
  retryReads?: boolean | undefined;
}

/**
 * The right to use a client, on behalf of one caller, until it is released.
 *
 * @example
 * ```ts
 * await using lease = await pool.lease({ identity: { token } });
 * const { data } = await lease.client.from("budgets").select();
 * ```
 */
export interface ClientLease<Database = unknown> extends Disposable, AsyncDisposable {
  /** The client. After the release it sends nothing. */
  readonly client: SupabaseClient<Database>;
  /**
   * Releases the client and aborts the calls that are still under way. Disposing of the lease does the same, unless it
   * was released already.
   *
   * @throws {DoubleReleaseError} when it was released already.
   * @throws {LateReleaseError} when the pool, shut down, had revoked it.
   */
  release(options?: ReleaseOptions): void;
}

/** A source of client leases, as services use it: a pool, or the scope of one caller. */
export interface ClientPool<Database = unknown> {
  /** The options in force. */
  readonly config: Readonly<SupabasePoolConfig>;
  /** Ends what is done with the pool when it aborts, retries included. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Returns the time that its caller has left, in ms: no retry begins later. Default: no limit. */
  readonly timeLeftMs?: (() => number) | undefined;
  /** Bounds the retries of all that share the pool. Default: none. */
  readonly retryBudget?: RetryBudget | undefined;
  /** Leases a client. */
  lease(options?: ClientLeaseOptions): Promise<ClientLease<Database>>;
  /** Returns the pool's current statistics, as an immutable snapshot. */
  getStats(): PoolStats;
  /** Runs the pool's health query, and returns its result with the statistics. */
  healthCheck(): Promise<PoolHealth>;
}
