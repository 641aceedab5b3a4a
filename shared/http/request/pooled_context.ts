/**
 * What a handler gets beside its request.
 *
 * @module
 */
import type { AuthMode, JWTClaims, UserClaims } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { AcquireOptions } from "../../pool/mod.ts";
import type { ClientPool } from "../../supabase/mod.ts";

/** How a request takes its place in a pool, unless told otherwise. */
export type LeaseDefaults = Pick<AcquireOptions, "lane" | "timeoutMs">;

/**
 * A pool, for the time of one request and for its caller alone. Whatever the
 * request does on it (`ctx.supabase` included) shares one place, taken when it
 * is needed and free when nobody uses it: a service that calls another one
 * cannot wait for itself, and no request has more than `callsPerLease` calls
 * under way.
 */
export interface RequestClientPool<Database> extends ClientPool<Database> {
  /**
   * A client like `ctx.supabase`, its place taken as `options` say (`lane`,
   * `timeoutMs`) where it has to wait for it.
   *
   * @throws {IdentityError} when another request asks.
   */
  client(options?: AcquireOptions): SupabaseClient<Database>;
}

/**
 * What a handler gets beside the request: the context of `withSupabase`, and
 * the pools. Reading a member costs nothing until a call is made through it.
 */
export interface PooledContext<Database> {
  /**
   * A client that acts as the caller: as the user whose token was verified,
   * otherwise anonymously. Its slot of the pool is taken at the first call and
   * given back when the handler has answered.
   */
  readonly supabase: SupabaseClient<Database>;
  /** A client that bypasses row-level security. Any use of it throws where no secret key is configured. */
  readonly supabaseAdmin: SupabaseClient<Database>;
  /** Who the user is, or `null` when the caller is no user. */
  readonly userClaims: UserClaims | null;
  /** The verified payload of the user's token, or `null` when the caller is no user. */
  readonly jwtClaims: JWTClaims | null;
  /** The auth mode that matched. */
  readonly authMode: AuthMode;
  /** The name of the API key that matched; `undefined` for `user` and `none`. */
  readonly authKeyName: string | undefined;
  /**
   * The pool for callers, its leases bound to this caller and ended when the
   * caller goes away: for services, `getStats()`, and a choice of lane. A lease that is not given back when the
   * handler has answered and its {@linkcode waitUntil} work is done is ended,
   * with the calls under way in it, and logged as `lease_forgotten`: hold it
   * with `await using`, and give work that goes on to `waitUntil`.
   */
  readonly pool: RequestClientPool<Database>;
  /** The same of the admin pool. Any use of it throws where no secret key is configured. */
  readonly adminPool: RequestClientPool<Database>;
  /**
   * Lets `promise` outlive the answer: `supabase`, `supabaseAdmin` and leases
   * of the pools stay usable until it settles, even when the caller goes away,
   * and the runtime is asked to keep the isolate (`EdgeRuntime.waitUntil`, where there is one). A
   * rejection is logged.
   */
  waitUntil(promise: PromiseLike<unknown>): void;
}
