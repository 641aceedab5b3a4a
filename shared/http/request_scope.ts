/**
 * What one request holds of the pools, and when it lets go.
 *
 * @module
 */
import { type AuthMode, type AuthResult, Errors, type JWTClaims, type UserClaims } from "@supabase/server";
import { MissingDefaultSecretKeyError } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { type ClientPool, type DeferredLease, type Identity, transportFailure } from "../supabase/mod.ts";
import { HeldLeases } from "./held_leases.ts";
import type { RequestPool, Runtime } from "./runtime.ts";

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
   * caller goes away: for services. A lease that is not given back when the
   * handler has answered and its {@linkcode waitUntil} work is done is ended,
   * with the calls under way in it, and logged as `lease_forgotten`: hold it
   * with `await using`, and give work that goes on to `waitUntil`.
   */
  readonly pool: ClientPool<Database>;
  /** The same of the admin pool. Reading it throws where no secret key is configured. */
  readonly adminPool: ClientPool<Database>;
  /**
   * Lets `promise` outlive the answer: `supabase`, `supabaseAdmin` and leases
   * of the pools stay usable until it settles, even when the caller goes away,
   * and the runtime is asked to keep the isolate (`EdgeRuntime.waitUntil`, where there is one). A
   * rejection is logged.
   */
  waitUntil(promise: PromiseLike<unknown>): void;
}

interface Background {
  waitUntil(promise: Promise<unknown>): void;
}

/** The hosted runtime's own `waitUntil`. */
function edgeRuntime(): Background | undefined {
  const runtime: unknown = Reflect.get(globalThis, "EdgeRuntime");
  const known = typeof runtime === "object" && runtime !== null && "waitUntil" in runtime &&
    typeof runtime.waitUntil === "function";
  return known ? runtime as Background : undefined;
}

/** Stands where the admin client would be, so that a handler may name it without using it. */
function missingAdmin<Client extends object>(names: string[]): Client {
  const refuse = (): never => {
    throw Errors[MissingDefaultSecretKeyError](names);
  };
  return new Proxy<Client>({} as Client, { get: refuse, set: refuse, has: refuse });
}

/** The token's holder or nobody: never the project's secret key, whatever the mode was. */
function identityOf({ authMode, token }: AuthResult): Identity {
  return authMode === "user" && token ? { token } : "anonymous";
}

/** What a request tells of its end. */
export interface ScopeEvents {
  /** Work given to `waitUntil` was rejected with `reason`. */
  readonly rejected: (reason: unknown) => void;
  /** The handler answered and left so many leases that it never gave back; they have been ended. */
  readonly forgotten: (count: number) => void;
}

/** One request: its context, its signal, its leases. */
export class RequestScope<Database> {
  /** What the handler gets. */
  readonly context: PooledContext<Database>;

  readonly #request: Request;
  readonly #abort = new AbortController();
  readonly #leases: DeferredLease<Database>[] = [];
  readonly #background = new Set<PromiseLike<unknown>>();
  readonly #held: HeldLeases<Database>;
  readonly #events: ScopeEvents;
  #caller: AbortSignal | undefined;
  #waitedMs = 0;
  #answered = false;
  #failed = false;

  constructor(request: Request, runtime: Runtime<Database>, auth: AuthResult, events: ScopeEvents) {
    this.#request = request;
    this.#events = events;
    this.#held = new HeldLeases({
      over: () => this.#over,
      onWait: (waitedMs) => this.#waitedMs += waitedMs,
      onLate: (count) => this.#tellForgotten(count),
    });
    this.context = this.#createContext(runtime, auth);
  }

  /** Whether the caller went away before the handler answered. */
  get aborted(): boolean {
    return this.#abort.signal.aborted || this.#request.signal.aborted;
  }

  /** How long this request has waited for places in the pools so far, in ms. */
  get waitedMs(): number {
    return this.#leases.reduce((sum, lease) => sum + lease.waitedMs, this.#waitedMs);
  }

  /** What really failed where supabase-js has flattened what a call threw, or `error` itself. */
  explain(error: unknown): unknown {
    for (const { client } of this.#leases) {
      const failure = transportFailure(client, error);
      if (failure !== undefined) return failure;
    }
    return error;
  }

  /**
   * Ends the leases, at once or when the last of the background work has settled.
   *
   * @param failed Whether the handler threw. Then work it no longer waits for, the rest of a `Promise.all` say, may
   * rightly hold a lease still: it is ended all the same, and not told of.
   */
  answered({ failed }: { failed: boolean }): void {
    this.#answered = true;
    this.#failed = failed;
    // Some runtimes abort a request's signal once its answer is sent; that says nothing about its caller.
    this.#caller?.removeEventListener("abort", this.#callerGone);
    this.#endWhenIdle();
  }

  /** Whether the handler has answered and no background work is left. */
  get #over(): boolean {
    return this.#answered && this.#background.size === 0;
  }

  /** Aborts when the caller goes away. Most runtimes make a request's signal only when it is asked for. */
  #signal(): AbortSignal {
    if (this.#caller === undefined && !this.#answered) {
      this.#caller = this.#request.signal;
      this.#caller.addEventListener("abort", this.#callerGone, { once: true });
      if (this.#caller.aborted) this.#callerGone();
    }
    return this.#abort.signal;
  }

  #createContext({ service, environment }: Runtime<Database>, auth: AuthResult): PooledContext<Database> {
    const { userClaims, jwtClaims, authMode, keyName } = auth;
    const identity = identityOf(auth);
    const defer = this.#defer.bind(this);
    const signal = this.#signal.bind(this);
    const held = this.#held;
    let supabase: SupabaseClient<Database> | undefined;
    let supabaseAdmin: SupabaseClient<Database> | undefined;
    return {
      get supabase() {
        return supabase ??= defer(service.getConnectionPool(), identity);
      },
      get supabaseAdmin() {
        return supabaseAdmin ??= environment.secretKey === undefined
          ? missingAdmin(Object.keys(environment.secretKeys))
          : defer(service.getAdminPool(), "admin");
      },
      userClaims,
      jwtClaims,
      authMode,
      authKeyName: keyName ?? undefined,
      get pool() {
        return held.watch(service.getConnectionPool().as(identity, { signal: signal() }));
      },
      get adminPool() {
        if (environment.secretKey === undefined) throw Errors[MissingDefaultSecretKeyError]([]);
        return held.watch(service.getAdminPool().as("admin", { signal: signal() }));
      },
      waitUntil: (promise) => this.#waitUntil(promise),
    };
  }

  #defer(pool: RequestPool<Database>, identity: Identity): SupabaseClient<Database> {
    const lease = pool.defer({ identity, signal: this.#signal() });
    this.#leases.push(lease);
    // First touched after the request was over: the view must be as dead as the others.
    if (this.#over) this.#end(lease);
    return lease.client;
  }

  #waitUntil(promise: PromiseLike<unknown>): void {
    this.#background.add(promise);
    const settled = Promise.resolve(promise).then(() => {}, this.#events.rejected).then(() => {
      this.#background.delete(promise);
      this.#endWhenIdle();
    });
    edgeRuntime()?.waitUntil(settled);
  }

  #endWhenIdle(): void {
    if (!this.#over) return;
    for (const lease of this.#leases.splice(0)) this.#end(lease);
    this.#tellForgotten(this.#held.end());
  }

  #tellForgotten(count: number): void {
    if (count > 0 && !this.#failed) this.#events.forgotten(count);
  }

  #end(lease: DeferredLease<Database>): void {
    lease.end().catch(this.#events.rejected);
  }

  /** Ends what runs for a caller who left, unless the handler wants the work done all the same. */
  readonly #callerGone = (): void => {
    if (this.#background.size > 0) return;
    const reason: unknown = this.#caller?.reason;
    this.#abort.abort(reason);
    for (const lease of this.#leases.splice(0)) lease.abort(reason);
  };
}
