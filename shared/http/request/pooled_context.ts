/**
 * The context of a handler.
 *
 * @module
 */
import type { AuthMode, AuthResult, JWTClaims, UserClaims } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { AcquireOptions, Flow, WeightedFlow } from "../../pool/mod.ts";
import { textOf } from "../../resilience/mod.ts";
import type { ClientPool } from "../../supabase/mod.ts";

/** The terms on which a request takes its slot by default. */
export type LeaseDefaults = Pick<AcquireOptions, "lane" | "timeoutMs">;

/** Returns the key of the caller whose share of the slots a request takes; `undefined` for the default. */
export type FlowKey = (request: Request) => Flow | undefined;

/** Returns the flow that `flowKey` chooses for a request; `undefined` for that of its caller. */
export function flowOf(flowKey: FlowKey | undefined, request: Request): Flow | undefined {
  const flow: unknown = flowKey?.(request);
  // The key of a handler is never taken for a user's.
  if (typeof flow === "string") return `key ${flow}`;
  const key = textOf(flow, "key");
  if (key !== undefined) return { key: `key ${key}`, weight: (flow as WeightedFlow).weight };
  // The pool rejects anything else, such as the promise of an asynchronous function: it has no key to tell callers apart.
  return flow as Flow ?? undefined;
}

/**
 * The pool for one request and its caller only. All that the request does on it
 * (`ctx.supabase` included) shares one slot, taken when it is needed and
 * released when it is not used: a service that calls another cannot wait for
 * itself, and a request has at most `callsPerLease` calls under way.
 */
export interface RequestClientPool<Database> extends ClientPool<Database> {
  /**
   * Returns a client like `ctx.supabase` that takes its slot as `options` say.
   *
   * @throws {IdentityError} when it is called from another request.
   * @example
   * ```ts
   * const { data } = await ctx.pool.client({ lane: "low" }).from("reports").select();
   * ```
   */
  client(options?: AcquireOptions): SupabaseClient<Database>;
}

/**
 * The second argument of a handler: the context of `withSupabase`, and the pools.
 * Reading a member costs nothing until a call is made through it.
 *
 * @example
 * ```ts
 * export default {
 *   fetch: withPooledSupabase({ auth: "user" }, async (_request, ctx) => {
 *     const { data } = await ctx.supabase.from("categories").select();
 *     ctx.waitUntil(ctx.supabase.from("visits").insert({ user_id: ctx.userClaims?.id }));
 *     return Response.json(data);
 *   }),
 * };
 * ```
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withPooledSupabase default to
export interface PooledContext<Database = any> {
  /**
   * A client that acts as the caller: as the user whose token was verified,
   * otherwise anonymously. Its first call takes a slot of the pool, which is
   * released when the handler has answered.
   */
  readonly supabase: SupabaseClient<Database>;
  /** A client that bypasses row-level security. Any use of it throws if no secret key is configured. */
  readonly supabaseAdmin: SupabaseClient<Database>;
  /** The user, or `null` when the caller is not a user. */
  readonly userClaims: UserClaims | null;
  /** The verified payload of the user's token, or `null` when the caller is not a user. */
  readonly jwtClaims: JWTClaims | null;
  /** The auth mode that matched. */
  readonly authMode: AuthMode;
  /** The name of the API key that matched; `undefined` for `user` and `none`. */
  readonly authKeyName: string | undefined;
  /**
   * The pool for callers, bound to this caller and aborted when the caller
   * disconnects: for services, `getStats()`, and a choice of lane. Hold leases
   * with `await using`, and give work that goes on after the response to
   * {@linkcode waitUntil}: a lease that is not released when the handler has
   * answered and that work has settled is ended, with its calls, and logged as
   * `lease_forgotten`.
   */
  readonly pool: RequestClientPool<Database>;
  /** The same for the admin pool. Any use of it throws if no secret key is configured. */
  readonly adminPool: RequestClientPool<Database>;
  /**
   * The id of this request in the log, and for logs and calls of your own: the trace id of `traceparent`, else
   * `x-request-id`, else a random one. It is computed when it is first read. Responses to failures that are logged carry
   * it in `X-Correlation-Id`. Read it from the context itself: a copy (`{ ...ctx }`) does not have it.
   */
  readonly correlationId: string;
  /**
   * Lets `promise` outlive the response: `supabase`, `supabaseAdmin` and leases
   * of the pools stay usable until it settles, even when the caller disconnects,
   * and the runtime is asked to keep the isolate (`EdgeRuntime.waitUntil`, if
   * there is one). A rejection is logged.
   *
   * @example
   * ```ts
   * ctx.waitUntil(ctx.supabase.from("audit").insert({ action: "read" }));
   * ```
   */
  waitUntil(promise: PromiseLike<unknown>): void;
}

/** The members of a context that are created when they are read. */
export type LazyMembers<Database> = Pick<
  PooledContext<Database>,
  "supabase" | "supabaseAdmin" | "pool" | "adminPool" | "correlationId"
>;

/** The value of a lazy member before it is read: `console.log` of a context shows it. */
const UNREAD: unknown = "(created when it is read)";

/**
 * The values of a context, whose lazy members are {@linkcode UNREAD}.
 *
 * Own accessors in their place would cost each request four calls of `Object.defineProperty`: more than all else that
 * its context does.
 */
class ContextValues {
  readonly supabase = UNREAD;
  readonly supabaseAdmin = UNREAD;
  readonly userClaims: UserClaims | null;
  readonly jwtClaims: JWTClaims | null;
  readonly authMode: AuthMode;
  readonly authKeyName: string | undefined;
  readonly pool = UNREAD;
  readonly adminPool = UNREAD;
  readonly waitUntil: PooledContext["waitUntil"];
  readonly #members: LazyMembers<unknown>;

  constructor(auth: AuthResult, members: LazyMembers<unknown>, waitUntil: PooledContext["waitUntil"]) {
    this.userClaims = auth.userClaims;
    this.jwtClaims = auth.jwtClaims;
    this.authMode = auth.authMode;
    this.authKeyName = auth.keyName ?? undefined;
    this.waitUntil = waitUntil;
    this.#members = members;
  }

  /** Not an own member: few requests read it. */
  get correlationId(): string {
    return this.#members.correlationId;
  }

  /** Returns a member, which is created now if it is a lazy one. */
  static read(values: ContextValues, name: PropertyKey): unknown {
    const value: unknown = Reflect.get(values, name);
    return value === UNREAD ? Reflect.get(values.#members, name) : value;
  }
}

const READS_LAZILY: ProxyHandler<ContextValues> = { get: ContextValues.read };

/**
 * Creates the context of a request. Its members are own and enumerable, so that `{ ...context }` has them too;
 * `correlationId` is not.
 */
export function createContext<Database>(
  auth: AuthResult,
  members: LazyMembers<Database>,
  waitUntil: PooledContext["waitUntil"],
): PooledContext<Database> {
  // The handler reads what is declared as unknown here from `members`.
  return new Proxy(
    new ContextValues(auth, members as LazyMembers<unknown>, waitUntil),
    READS_LAZILY,
  ) as object as PooledContext<Database>;
}
