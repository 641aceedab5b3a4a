/**
 * The use that a request makes of the pools: a scope of each, the clients, and the admin client of a project without a
 * secret key.
 *
 * @module
 */
import type { AuthMode, AuthResult, SupabaseEnv } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { correlationIdOf } from "../../observability/log/mod.ts";
import { type Flow, PoolError } from "../../pool/mod.ts";
import { memberOf } from "../../resilience/mod.ts";
import { sourceOfError, toServiceError } from "../../services/mod.ts";
import { type Identity, IdentityError, type ScopeEnd, type ScopeOptions } from "../../supabase/mod.ts";
import type { HandlerScope, RequestPool, Runtime } from "../handler/runtime.ts";
import { currentRequest, type RequestToken } from "./current_request.ts";
import {
  type FlowKey,
  flowOf,
  type LazyMembers,
  type LeaseDefaults,
  type RequestClientPool,
} from "./pooled_context.ts";
import type { RequestEvents } from "./request_reports.ts";

let core: typeof import("@supabase/server/core") | undefined;

/** Loads the error of {@linkcode createMissingAdminProxy}. Most projects have a secret key and do not need it. */
export async function loadMissingSecretKey(): Promise<void> {
  core ??= await import("@supabase/server/core");
}

/**
 * @throws {EnvError} `MISSING_DEFAULT_SECRET_KEY`.
 * @throws {TypeError} when {@linkcode loadMissingSecretKey} has not been awaited.
 */
function throwMissingSecretKey({ url, publishableKeys, jwks }: SupabaseEnv): never {
  if (core === undefined) throw new TypeError("Cannot create the admin client: await loadMissingSecretKey() first");
  core.createAdminClient({ env: { url, publishableKeys, secretKeys: {}, jwks } });
  throw new TypeError("@supabase/server created an admin client without a key");
}

/**
 * Creates a replacement for the admin client or pool, so that a handler may read it without using it. Any use of it
 * throws the error of `@supabase/server` for a missing secret key.
 */
export function createMissingAdminProxy<Admin extends object>(env: SupabaseEnv): Admin {
  const fail = () => throwMissingSecretKey(env);
  return new Proxy<Admin>({} as Admin, { get: fail, set: fail, has: fail });
}

/** The dependencies of a request's use of the pools. */
export interface RequestPoolsOptions<Database> {
  readonly request: Request;
  readonly runtime: Runtime<Database>;
  /** The terms on which it takes its slots. */
  readonly lease: LeaseDefaults;
  /** Returns the flow of a request, in pools with `fairShare`. Default: that of its caller. */
  readonly flowKey?: FlowKey | undefined;
  readonly events: RequestEvents;
  /** Called with each lease of the request, and its pool. Default: none. */
  readonly onLeased?: ((pool: object, leaseId: number, request: Request) => void) | undefined;
  /** Returns the headers that carry the request's trace to the project. Default: none. */
  readonly traceHeaders?: ScopeOptions["traceHeaders"];
}

/** The request that scopes belong to. */
interface ScopeOwner<Database> {
  /** Called with each scope that is opened. */
  opened(scope: HandlerScope<Database>): void;
}

/** The end of a request that used no pool. */
export const NOT_USED: ScopeEnd = Object.freeze({ unreleased: 0, drained: undefined });

/** Returns the end of two, of which either may not have been used. */
function endOf(one: ScopeEnd | undefined, other: ScopeEnd | undefined): ScopeEnd | undefined {
  if (!one || !other) return one ?? other;
  const unreleased = one.unreleased + other.unreleased;
  if (!one.drained || !other.drained) return { unreleased, drained: one.drained ?? other.drained };
  return { unreleased, drained: Promise.all([one.drained, other.drained]).then(() => {}) };
}

/** The outcome of the handler. */
interface Outcome {
  /** True once it has returned a response. */
  succeeded: boolean;
}

// The runtime keeps parts of every call until the next full collection, and with them all that they refer to. So what a
// request gives to its calls does not refer to its scope once that has ended: with a scope of 15 kB for each request,
// young collections took five times as long.

/** Returns the function that a request's calls ask for the time left, in ms. */
function timeLeftOf(token: RequestToken): () => number {
  return () => token.request?.timeLeftMs ?? 0;
}

/** Returns the function that rejects use by another request; code that belongs to none may use it. */
function guardOf(token: RequestToken): () => void {
  return () => {
    const current = currentRequest.getStore();
    if (current === undefined || current === token) return;
    throw new IdentityError("This ctx.pool belongs to another request: do not store it");
  };
}

/**
 * Returns the function that logs a call of a request after its end. After a failure, the call is of work that the failure
 * has ended, and is not logged.
 */
function logRefusals(
  outcome: Outcome,
  { request, events }: Pick<RequestPoolsOptions<unknown>, "request" | "events">,
): (reason: unknown) => void {
  return (reason) => {
    if (outcome.succeeded) events.refused(reason, request);
  };
}

/** The use that one request makes of the pools. Each scope is opened when it is first used. */
export class RequestPools<Database> implements LazyMembers<Database> {
  readonly #options: RequestPoolsOptions<Database>;
  readonly #auth: AuthResult;
  readonly #token: RequestToken;
  readonly #owner: ScopeOwner<Database>;
  readonly #outcome: Outcome = { succeeded: false };
  #user: HandlerScope<Database> | undefined = undefined;
  #admin: HandlerScope<Database> | undefined = undefined;
  #supabase: SupabaseClient<Database> | undefined = undefined;
  #supabaseAdmin: SupabaseClient<Database> | undefined = undefined;
  /** The pool of the user's scope: it knows what the request did on it beside that. */
  #userPool: Pick<RequestPool<Database>, "waitedMs" | "upstreamMs" | "end"> | undefined = undefined;
  #closed = false;

  constructor(
    options: RequestPoolsOptions<Database>,
    auth: AuthResult,
    token: RequestToken,
    owner: ScopeOwner<Database>,
  ) {
    this.#options = options;
    this.#auth = auth;
    this.#token = token;
    this.#owner = owner;
  }

  /** The context's `supabase`. */
  get supabase(): SupabaseClient<Database> {
    return this.#supabase ??= this.#userScope().client();
  }

  /** The context's `supabaseAdmin`. */
  get supabaseAdmin(): SupabaseClient<Database> {
    const { environment } = this.#options.runtime;
    return this.#supabaseAdmin ??= environment.secretKey === undefined
      ? createMissingAdminProxy<SupabaseClient<Database>>(environment)
      : this.#adminScope().client();
  }

  /** The context's `pool`. */
  get pool(): RequestClientPool<Database> {
    return this.#userScope();
  }

  /** The context's `adminPool`. */
  get adminPool(): RequestClientPool<Database> {
    const { environment } = this.#options.runtime;
    return environment.secretKey === undefined
      ? createMissingAdminProxy<RequestClientPool<Database>>(environment)
      : this.#adminScope();
  }

  /** The context's `correlationId`. */
  get correlationId(): string {
    return correlationIdOf(this.#options.request);
  }

  /** True once the request has used a pool. */
  get isUsed(): boolean {
    return this.#user !== undefined || this.#admin !== undefined;
  }

  /** The time the request has waited for slots so far, in ms. */
  get waitedMs(): number {
    const elsewhere = this.#user && this.#userPool?.waitedMs ? this.#userPool.waitedMs(this.#user.signal) : 0;
    return elsewhere + (this.#user?.waitedMs ?? 0) + (this.#admin?.waitedMs ?? 0);
  }

  /** The time the request has waited for the project so far, in ms: for calls and statements under way. */
  get upstreamMs(): number {
    const elsewhere = this.#user && this.#userPool?.upstreamMs ? this.#userPool.upstreamMs(this.#user.signal) : 0;
    return elsewhere + (this.#user?.upstreamMs ?? 0) + (this.#admin?.upstreamMs ?? 0);
  }

  /** The error behind the one that supabase-js has flattened to `error`, or `error` itself. */
  explain(error: unknown): unknown {
    const source = sourceOfError(error);
    const failure = this.#user?.failureOf(source) ?? this.#admin?.failureOf(source);
    if (failure !== undefined) return toServiceError(failure);
    // storage-js and functions-js keep what they wrap.
    for (const member of ["context", "originalError"]) {
      const inner = memberOf(error, member);
      if (inner instanceof PoolError) return inner;
    }
    return error;
  }

  /** Notes whether the handler has returned a response. */
  answered(succeeded: boolean): void {
    this.#outcome.succeeded = succeeded;
  }

  /** Aborts the calls of the request, and refuses further ones with `reason`. */
  abort(reason: unknown): void {
    this.#user?.abort(reason);
    this.#admin?.abort(reason);
  }

  /** Releases the slots from now on whenever no call is under way. */
  releaseBetweenCalls(): void {
    this.#user?.releaseBetweenCalls();
    this.#admin?.releaseBetweenCalls();
  }

  /** Closes the scopes. */
  close(): ScopeEnd {
    this.#closed = true;
    const elsewhere = this.#user && this.#userPool?.end?.(this.#user);
    return endOf(endOf(this.#user?.close(), this.#admin?.close()), elsewhere) ?? NOT_USED;
  }

  #userScope(): HandlerScope<Database> {
    if (this.#user) return this.#user;
    const { service, environment } = this.#options.runtime;
    const { authMode, token } = this.#auth;
    // The token's user, or anonymous: never the project's secret key, whatever the mode was.
    const identity: Identity = authMode === "user" && token ? { token } : "anonymous";
    const pool = service.getConnectionPool();
    this.#userPool = pool;
    this.#user = this.#open(pool, identity, this.#keyOf("publishable", environment.publishableKeys));
    // First used after the request has ended.
    if (this.#closed) pool.end?.(this.#user);
    return this.#user;
  }

  #adminScope(): HandlerScope<Database> {
    if (this.#admin) return this.#admin;
    const { service, environment } = this.#options.runtime;
    return this.#admin = this.#open(service.getAdminPool(), "admin", this.#keyOf("secret", environment.secretKeys));
  }

  /** The key that the caller was authenticated by, if it is one of `keys`. */
  #keyOf(mode: AuthMode, keys: Readonly<Record<string, string>>): string | undefined {
    const { authMode, keyName } = this.#auth;
    return authMode === mode && keyName ? keys[keyName] : undefined;
  }

  #open(
    pool: RequestPool<Database>,
    identity: Identity,
    apiKey: ScopeOptions["apiKey"],
  ): HandlerScope<Database> {
    const { events, traceHeaders, onLeased: leased, request, lease: { lane, timeoutMs } } = this.#options;
    events.poolUsed(pool as RequestPool<never>);
    const scope = pool.scope({
      identity,
      // The token was verified when the request began. The scope may be opened after it has expired.
      admitted: true,
      apiKey,
      lane,
      timeoutMs,
      flow: pool.config.fairShare ? this.#flow() : undefined,
      guard: guardOf(this.#token),
      onRefused: logRefusals(this.#outcome, this.#options),
      timeLeftMs: timeLeftOf(this.#token),
      traceHeaders,
      onLeased: leased && ((leaseId: number) => leased(pool, leaseId, request)),
    });
    this.#owner.opened(scope);
    return scope;
  }

  /** Returns the flow of the request; `undefined` for that of the pool's identity. */
  #flow(): Flow | undefined {
    const { flowKey, request } = this.#options;
    const subject = this.#auth.jwtClaims?.sub;
    return flowOf(flowKey, request) ?? (subject === undefined ? undefined : `user ${subject}`);
  }
}
