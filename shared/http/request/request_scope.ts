/**
 * What one request holds of the pools, and when it lets go.
 *
 * @module
 */
import type { AuthMode, AuthResult } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { type AcquireOptions, LeaseReleasedError, PoolError } from "../../pool/mod.ts";
import { isPromiseLike } from "../../resilience/mod.ts";
import { toServiceError } from "../../services/mod.ts";
import {
  type ClientSession,
  type DeferredLease,
  type Identity,
  type SessionOptions,
  transportFailure,
} from "../../supabase/mod.ts";
import { isElsewhere, type RequestMark, runWithin } from "./current_request.ts";
import type { Deadline } from "./deadline.ts";
import { edgeRuntime } from "../handler/edge_runtime.ts";
import { HeldLeases } from "./held_leases.ts";
import { missingAdmin } from "./missing_admin.ts";
import type { LeaseDefaults, PooledContext, RequestClientPool } from "./pooled_context.ts";
import { type LazyMembers, RequestContext } from "./request_context.ts";
import type { RequestPool, Runtime } from "../handler/runtime.ts";

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

/** What a request brings along. */
export interface ScopeOptions<Database> {
  readonly request: Request;
  readonly runtime: Runtime<Database>;
  readonly auth: AuthResult;
  readonly deadline: Deadline;
  readonly events: ScopeEvents;
  /** How it takes its places. */
  readonly lease: LeaseDefaults;
  /** Told when nothing of it is left: answered, every body read, background work done. May be told twice. */
  readonly onOver: () => void;
}

/** One request: its context, its signal, its leases. */
export class RequestScope<Database> implements LazyMembers<Database> {
  /** What the handler gets. */
  readonly context: PooledContext<Database>;

  readonly #mark: RequestMark = {};
  readonly #request: Request;
  readonly #runtime: Runtime<Database>;
  readonly #auth: AuthResult;
  readonly #deadline: Deadline;
  readonly #lease: LeaseDefaults;
  readonly #sessions: ClientSession<Database>[] = [];
  #waitedElsewhere: RequestPool<Database>["waitedMs"];
  readonly #leases: DeferredLease<Database>[] = [];
  // Made when they are needed: most requests need neither.
  #background: Set<PromiseLike<unknown>> | undefined = undefined;
  #held: HeldLeases<Database> | undefined = undefined;
  readonly #events: ScopeEvents;
  readonly #onOver: () => void;
  #user: ClientSession<Database> | undefined;
  #admin: ClientSession<Database> | undefined;
  #supabase: SupabaseClient<Database> | undefined;
  #supabaseAdmin: SupabaseClient<Database> | undefined;
  #pool: RequestClientPool<Database> | undefined;
  #adminPool: RequestClientPool<Database> | undefined;
  #caller: AbortSignal | undefined;
  #callerLeft = false;
  #answered = false;
  #failed = false;
  /** Why what was left has been cut. */
  #cutWith: { readonly reason: unknown } | undefined = undefined;
  /** Why what is left is to be cut, once the background work is done. */
  #cutFor: { readonly reason: unknown } | undefined = undefined;

  constructor({ request, runtime, auth, deadline, events, lease, onOver }: ScopeOptions<Database>) {
    this.#request = request;
    this.#runtime = runtime;
    this.#auth = auth;
    this.#deadline = deadline;
    this.#events = events;
    this.#lease = lease;
    this.#onOver = onOver;
    this.context = new RequestContext(auth, this, (promise) => this.#waitUntil(promise));
  }

  /** The context's `supabase`. */
  get supabase(): SupabaseClient<Database> {
    return this.#supabase ??= this.#defer(this.#userSession());
  }

  /** The context's `supabaseAdmin`. */
  get supabaseAdmin(): SupabaseClient<Database> {
    const { environment } = this.#runtime;
    return this.#supabaseAdmin ??= environment.secretKey === undefined
      ? missingAdmin<SupabaseClient<Database>>(environment)
      : this.#defer(this.#adminSession());
  }

  /** The context's `pool`. */
  get pool(): RequestClientPool<Database> {
    return this.#pool ??= this.#poolOf(this.#userSession());
  }

  /** The context's `adminPool`. */
  get adminPool(): RequestClientPool<Database> {
    const { environment } = this.#runtime;
    return this.#adminPool ??= environment.secretKey === undefined
      ? missingAdmin<RequestClientPool<Database>>(environment)
      : this.#poolOf(this.#adminSession());
  }

  /** Whether the caller went away before the handler answered. */
  get callerLeft(): boolean {
    return this.#callerLeft || this.#request.signal.aborted;
  }

  /** How long this request has waited for places in the pools so far, in ms. */
  get waitedMs(): number {
    const elsewhere = this.#user === undefined ? 0 : this.#waitedElsewhere?.(this.#user.signal) ?? 0;
    return this.#sessions.reduce((sum, session) => sum + session.waitedMs, elsewhere);
  }

  /**
   * What `handler` answers.
   *
   * @throws {DeadlineExceededError} when it has not answered by the deadline; what it did on the pools is ended then.
   */
  run(handler: (request: Request, context: PooledContext<Database>) => unknown): unknown {
    const answer = runWithin(this.#mark, () => handler(this.#request, this.context));
    const end = (reason: unknown) => this.#cut(reason);
    if (isPromiseLike(answer)) return this.#deadline.race(answer, end);
    // Its body may still be made of what it does on the pools.
    this.#deadline.watch(end);
    return answer;
  }

  /** What really failed where supabase-js has flattened what a call threw, or `error` itself. */
  explain(error: unknown): unknown {
    for (const client of [...this.#leases.map(({ client }) => client), ...this.#held?.clients ?? []]) {
      const failure = transportFailure(client, error);
      if (failure !== undefined) return toServiceError(failure);
    }
    // What storage-js and functions-js wrap they keep.
    for (const member of ["context", "originalError"]) {
      const inner: unknown = typeof error === "object" && error !== null ? Reflect.get(error, member) : undefined;
      if (inner instanceof PoolError) return inner;
    }
    return error;
  }

  /**
   * Ends the leases, at once or when the last of the background work has
   * settled. The deadline goes on for bodies that are passed on to the caller,
   * and not for background work.
   *
   * Calls that were begun and not awaited are carried through.
   *
   * @param failed Whether the handler threw. Then work it no longer waits for, the rest of a `Promise.all` say, may
   * rightly hold a lease or have calls under way still: nobody wants them any more. They are aborted, and not told of.
   */
  answered({ failed }: { failed: boolean }): void {
    this.#answered = true;
    this.#failed = failed;
    // Some runtimes abort a request's signal once its answer is sent; that says nothing about its caller.
    this.#caller?.removeEventListener("abort", this.#callerGone);
    if (this.#leases.length === 0 || !this.#over) this.#deadline.cancel();
    if (failed && this.#sessions.length > 0) this.#cut(new LeaseReleasedError());
    this.#endWhenIdle();
  }

  /** Whether the handler has answered and no background work is left. */
  get #over(): boolean {
    return this.#answered && !this.#background?.size;
  }

  /** Listens for the caller's leaving. Most runtimes make a request's signal only when it is asked for. */
  #listen(): void {
    if (this.#caller !== undefined || this.#answered) return;
    this.#caller = this.#request.signal;
    this.#caller.addEventListener("abort", this.#callerGone, { once: true });
    if (this.#caller.aborted) this.#callerGone();
  }

  #userSession(): ClientSession<Database> {
    const { service, environment } = this.#runtime;
    return this.#user ??= this.#open(service.getConnectionPool(), {
      identity: identityOf(this.#auth),
      apiKey: this.#keyOf("publishable", environment.publishableKeys),
    });
  }

  #adminSession(): ClientSession<Database> {
    const { service, environment } = this.#runtime;
    return this.#admin ??= this.#open(service.getAdminPool(), {
      identity: "admin",
      apiKey: this.#keyOf("secret", environment.secretKeys),
    });
  }

  /** The key that the caller was let in by, where it is one of `keys`. */
  #keyOf(mode: AuthMode, keys: Readonly<Record<string, string>>): string | undefined {
    const { authMode, keyName } = this.#auth;
    return authMode === mode && keyName ? keys[keyName] : undefined;
  }

  #poolOf(session: ClientSession<Database>): RequestClientPool<Database> {
    const held = this.#held ??= new HeldLeases({
      over: () => this.#over,
      elsewhere: () => isElsewhere(this.#mark),
      onLate: (count) => this.#tellForgotten(count),
    });
    return {
      ...held.watch(session),
      client: (options) => {
        held.check();
        return this.#defer(session, options);
      },
    };
  }

  #open(pool: RequestPool<Database>, options: SessionOptions): ClientSession<Database> {
    this.#listen();
    const session = pool.session({ ...this.#lease, ...options });
    if (this.#cutWith) session.abort(this.#cutWith.reason);
    this.#sessions.push(session);
    this.#waitedElsewhere ??= pool.waitedMs;
    return session;
  }

  #defer(session: ClientSession<Database>, options?: AcquireOptions): SupabaseClient<Database> {
    const lease = session.defer(options);
    this.#leases.push(lease);
    // First touched after the request was over: the view must be as dead as the others.
    if (this.#over) lease.end().catch(this.#events.rejected);
    return lease.client;
  }

  #waitUntil(promise: PromiseLike<unknown>): void {
    const background = this.#background ??= new Set();
    background.add(promise);
    const settled = Promise.resolve(promise).then(() => {}, this.#events.rejected).finally(() => {
      background.delete(promise);
      if (this.#cutFor && background.size === 0) this.#cut(this.#cutFor.reason);
      this.#endWhenIdle();
    });
    edgeRuntime()?.waitUntil(settled);
  }

  #endWhenIdle(): void {
    if (!this.#over) return;
    this.#tellForgotten(this.#held?.end() ?? 0);
    // Those that came last leave the place first: it looks for them from its end.
    const unread = this.#leases.toReversed().map((lease) => lease.finish()).filter((ended) => ended !== undefined);
    if (unread.length === 0) return this.#onOver();
    Promise.all(unread).catch(this.#events.rejected).finally(this.#onOver);
  }

  #tellForgotten(count: number): void {
    if (count > 0 && !this.#failed) this.#events.forgotten(count);
  }

  readonly #callerGone = (): void => {
    this.#callerLeft = true;
    this.#cut(this.#caller?.reason);
  };

  /** Ends what runs for a caller who is not to be answered any more, unless the handler wants the work done all the same. */
  #cut(reason: unknown): void {
    if (this.#cutWith) return;
    if (this.#background?.size) {
      this.#cutFor ??= { reason };
      return;
    }
    this.#cutWith = { reason };
    for (const session of this.#sessions) session.abort(reason);
  }
}
