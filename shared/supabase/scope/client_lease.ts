/**
 * Leases of Supabase clients.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { AcquireOptions, PoolStats, ReleaseOptions } from "../../pool/mod.ts";
import type { SupabasePoolConfig } from "../config.ts";
import type { PoolHealth } from "../health.ts";
import type { Identity } from "../identity.ts";

/** How a client is leased. */
export interface ClientLeaseOptions extends AcquireOptions {
  /** On whose behalf the lease acts. Default: the pool's own identity, anonymous or admin. */
  identity?: Identity | undefined;
  /** Ends the wait when it aborts, and every call of the lease: the caller has gone away, say. */
  signal?: AbortSignal | undefined;
}

/**
 * The right to use a client, on behalf of one caller, until it is released.
 *
 * ```ts
 * await using lease = await pool.lease({ identity: { token } });
 * const { data } = await lease.client.from("budgets").select();
 * ```
 */
export interface ClientLease<Database = unknown> extends Disposable, AsyncDisposable {
  /** The client. After the release it sends nothing any more. */
  readonly client: SupabaseClient<Database>;
  /**
   * Gives the client back. Calls that are still under way are ended.
   *
   * @throws {DoubleReleaseError} when it was released already.
   * @throws {LateReleaseError} when the pool, shut down, had taken it back.
   */
  release(options?: ReleaseOptions): void;
}

/** A client that can be used at once and takes its place in the pool at its first call. */
export interface DeferredLease<Database = unknown> extends AsyncDisposable {
  /** The client. Its first call waits for a place, and may fail as a lease does. */
  readonly client: SupabaseClient<Database>;
  /** How long the client's calls have waited for a place so far, in ms. */
  readonly waitedMs: number;
  /**
   * Refuses further calls, waits until those under way have been answered and
   * their bodies read, and frees the place. A body that nobody has begun to read
   * (or taken, by `response.body`) is cancelled after 100 ms. Calling it again
   * waits for the same; {@linkcode abort} cuts it short.
   */
  end(): Promise<void>;
  /** {@linkcode end}, and `undefined` where nothing has to be waited for. */
  finish(): Promise<void> | undefined;
  /** Ends every call under way and frees the place at once, after {@linkcode end} too. */
  abort(reason?: unknown): void;
}

/** What a service needs of a pool of clients; the pool itself is one, and so is the pool of one caller. */
export interface ClientPool<Database = unknown> {
  /** The options in force. */
  readonly config: Readonly<SupabasePoolConfig>;
  /** Ends what is done with the pool when it aborts, retries included: the caller has gone away, say. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Leases a client. */
  lease(options?: ClientLeaseOptions): Promise<ClientLease<Database>>;
  /** How the pool stands, as an immutable snapshot. */
  getStats(): PoolStats;
  /** Asks the database something, and says how the pool stands. */
  healthCheck(): Promise<PoolHealth>;
}
