/**
 * The lifetime of one request: its deadline, its caller, what it holds of the pools.
 *
 * @module
 */
import type { AuthMode, AuthResult } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { correlationIdOf } from "../../observability/mod.ts";
import { type Flow, LeaseReleasedError, PoolError } from "../../pool/mod.ts";
import { type Deadlines, type DeadlineTimer, isPromiseLike, memberOf } from "../../resilience/mod.ts";
import { sourceOfError, toServiceError } from "../../services/mod.ts";
import { type Identity, IdentityError, type ScopeOptions } from "../../supabase/mod.ts";
import type { HandlerScope, RequestPool, Runtime } from "../handler/runtime.ts";
import { watchStream } from "../responses/watch_stream.ts";
import { type CurrentRequest, currentRequest, type RequestToken } from "./current_request.ts";
import { CallerLeftError, DeadlineExceededError } from "./deadline.ts";
import { keepIsolateUntil } from "./edge_runtime.ts";
import { createMissingAdminProxy } from "./missing_admin.ts";
import {
  createContext,
  type FlowKey,
  flowOf,
  type LazyMembers,
  type LeaseDefaults,
  type PooledContext,
  type RequestClientPool,
} from "./pooled_context.ts";
import { underWay } from "./unhandled_rejections.ts";

/** Events of a request. */
export interface RequestEvents {
  /** Work that `request` gave to `waitUntil` was rejected with `reason`. */
  readonly rejected: (reason: unknown, request: Request) => void;
  /** The handler of `request` left `count` leases unreleased; they have been ended. */
  readonly forgotten: (count: number, request: Request) => void;
  /** A call or lease of `request` was refused with `reason`: the request has ended. */
  readonly refused: (reason: unknown, request: Request) => void;
  /** The streamed body of the response to `request` failed with `error`. */
  readonly bodyFailed: (error: unknown, request: Request) => void;
  /** A request uses `pool`. */
  readonly poolUsed: (pool: Pick<RequestPool<never>, "on">) => void;
  /** Code of a request left a rejection unhandled. `undefined`: the runtime decides. */
  readonly unhandled: RequestToken["onUnhandled"];
}

/** The dependencies of a request. */
export interface RequestScopeOptions<Database> {
  readonly request: Request;
  readonly runtime: Runtime<Database>;
  /** The deadlines of the handler's requests. */
  readonly deadlines: Deadlines;
  /** The longest time for the request, in ms. */
  readonly deadlineMs: number;
  /** The terms on which it takes its slots. */
  readonly lease: LeaseDefaults;
  /** Returns the flow of a request, in pools with `fairShare`. Default: that of its caller. */
  readonly flowKey?: FlowKey | undefined;
  readonly events: RequestEvents;
}

/** The state of a request's work, independent of the handler's response. */
type RequestState =
  | { readonly kind: "open" }
  /** To be aborted with `reason` once the background work has settled: the handler wants that work finished. */
  | { readonly kind: "draining"; readonly reason: unknown }
  /** Its scopes are aborted with `reason`. */
  | { readonly kind: "aborted"; readonly reason: unknown };

const OPEN: RequestState = Object.freeze({ kind: "open" });

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

/**
 * Returns the function that logs a call of a request after its end. After a failure, the call is of work that the failure
 * has ended, and is not logged.
 */
function logRefusals(
  outcome: Outcome,
  { request, events }: Pick<RequestScopeOptions<unknown>, "request" | "events">,
): (reason: unknown) => void {
  return (reason) => {
    if (outcome.succeeded) events.refused(reason, request);
  };
}

/** One request. It ends when it is answered, every body is read, and its background work has settled. */
export class RequestScope<Database> implements LazyMembers<Database>, CurrentRequest {
  readonly #token: RequestToken;
  readonly #options: RequestScopeOptions<Database>;
  readonly #leave: (() => void) | undefined;
  readonly #timeout: DeadlineTimer;
  #exceeded: DeadlineExceededError | undefined = undefined;
  /** Rejects what the request waits for. */
  #reject: ((error: Error) => void) | undefined = undefined;
  #auth: AuthResult | undefined = undefined;
  #user: HandlerScope<Database> | undefined = undefined;
  #admin: HandlerScope<Database> | undefined = undefined;
  #supabase: SupabaseClient<Database> | undefined = undefined;
  #supabaseAdmin: SupabaseClient<Database> | undefined = undefined;
  #waitedElsewhere: RequestPool<Database>["waitedMs"] = undefined;
  // Created when it is needed: most requests need none.
  #background: Set<PromiseLike<unknown>> | undefined = undefined;
  #caller: AbortSignal | undefined = undefined;
  #state: RequestState = OPEN;
  /** True once the handler has answered. Bodies and background work may still need the pools. */
  #answered = false;
  readonly #outcome: Outcome = { succeeded: false };
  /** True while the response's body is a stream that the handler's code may still produce. */
  #isStreaming = false;

  /**
   * Starts the request's time.
   *
   * @throws {PoolClosedError} when the isolate is ending.
   */
  constructor(options: RequestScopeOptions<Database>) {
    this.#options = options;
    const { runtime, deadlines, deadlineMs, events } = options;
    this.#token = { request: this, onUnhandled: events.unhandled };
    this.#leave = runtime.life?.beginRequest();
    this.#timeout = deadlines.start(deadlineMs, () => this.#onDeadline(new DeadlineExceededError(deadlineMs)));
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

  /** True once the caller has disconnected. */
  get callerLeft(): boolean {
    return this.#options.request.signal.aborted;
  }

  /** The time that a call through the request has left, in ms. Background work outlives the deadline. */
  get timeLeftMs(): number {
    return this.#answered && this.#hasBackground ? Infinity : this.#options.deadlines.leftMs(this.#timeout);
  }

  /** The time this request has waited for slots so far, in ms. */
  get waitedMs(): number {
    const elsewhere = this.#user && this.#waitedElsewhere ? this.#waitedElsewhere(this.#user.signal) : 0;
    return elsewhere + (this.#user?.waitedMs ?? 0) + (this.#admin?.waitedMs ?? 0);
  }

  /**
   * Waits for `work`, which goes on when the wait is rejected. Before {@linkcode run}; one wait at a time.
   *
   * @throws {DeadlineExceededError} when it lasts until the deadline.
   * @throws {CallerLeftError} when the caller disconnects.
   */
  async wait<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#options.request;
    const left = () => this.#reject?.(new CallerLeftError());
    signal.addEventListener("abort", left, { once: true });
    try {
      const result = this.#untilRejected(work);
      if (signal.aborted) left();
      return await result;
    } finally {
      signal.removeEventListener("abort", left);
    }
  }

  /**
   * Runs `handler` for the caller that `auth` describes.
   *
   * @throws {DeadlineExceededError} when it has not answered by the deadline; what it did on the pools is aborted then.
   */
  run(auth: AuthResult, handler: (request: Request, context: PooledContext<Database>) => unknown): unknown {
    this.#auth = auth;
    underWay.add(this.#token);
    const context = createContext(auth, this, (promise) => keepIsolateUntil(this.#keepUntil(promise)));
    const response = currentRequest.run(this.#token, handler, this.#options.request, context);
    if (isPromiseLike(response)) return this.#untilRejected(response);
    // Its body may still be made of what it does on the pools.
    if (this.#exceeded) this.#abort(this.#exceeded);
    return response;
  }

  /**
   * Runs `respond`, which creates the response to rejected credentials. It has no pools, and its rejections are those of
   * this request. Followed by {@linkcode end}.
   *
   * @throws {DeadlineExceededError} when it has not responded by the deadline.
   * @throws {CallerLeftError} when the caller disconnects.
   */
  runRejected(respond: () => unknown): unknown {
    underWay.add(this.#token);
    const response = currentRequest.run(this.#token, respond);
    return isPromiseLike(response) ? this.wait(Promise.resolve(response)) : response;
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

  /** Keeps the scopes until `promise` settles, as `ctx.waitUntil` does. */
  join(promise: PromiseLike<unknown>): void {
    this.#keepUntil(promise);
  }

  /**
   * Keeps the scopes open until `stream`, the body of `response`, has ended or is canceled, or the deadline passes.
   * Followed by {@linkcode answered}.
   *
   * @returns The response to send in its place.
   */
  follow(response: Response, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Response {
    const { request, events } = this.#options;
    this.#isStreaming = true;
    const body = watchStream(stream, (failure) => {
      if (failure) events.bodyFailed(this.explain(failure.error), request);
      if (!this.#isStreaming) return;
      this.#isStreaming = false;
      this.#closeIfIdle();
    });
    return new Response(body, response);
  }

  /**
   * Closes the scopes, at once or when the streamed body has ended and the last of the background work has
   * settled; until then the slots are held during calls only. Calls that were begun and not awaited are carried through. The
   * deadline goes on for bodies that are passed on to the caller, but not for
   * background work.
   *
   * @param failed Whether the handler threw. Then work that it no longer waits for, such as the rest of a
   * `Promise.all`, may rightly hold a lease or have calls under way; it is aborted.
   */
  answered({ failed }: { failed: boolean }): void {
    // Some runtimes abort a request's signal once its response is sent, which says nothing about its caller.
    this.#caller?.removeEventListener("abort", this.#onCallerLeft);
    if (failed && (this.#user || this.#admin || this.#hasBackground)) this.#abort(new LeaseReleasedError());
    this.#answered = true;
    this.#outcome.succeeded = !failed;
    if (!this.#isBusy) return this.#close();
    if (!this.#isStreaming) this.#timeout.cancel();
    this.#user?.releaseBetweenCalls();
    this.#admin?.releaseBetweenCalls();
  }

  /** True while the request may go on after its response: its body is a stream, or background work has not settled. */
  get #isBusy(): boolean {
    return this.#isStreaming || this.#hasBackground;
  }

  get #hasBackground(): boolean {
    return this.#background !== undefined && this.#background.size > 0;
  }

  #userScope(): HandlerScope<Database> {
    if (this.#user) return this.#user;
    const { service, environment } = this.#options.runtime;
    const { authMode, token } = this.#auth ?? {};
    // The token's user, or anonymous: never the project's secret key, whatever the mode was.
    const identity: Identity = authMode === "user" && token ? { token } : "anonymous";
    const pool = service.getConnectionPool();
    this.#waitedElsewhere = pool.waitedMs;
    return this.#user = this.#open(pool, identity, this.#keyOf("publishable", environment.publishableKeys));
  }

  #adminScope(): HandlerScope<Database> {
    if (this.#admin) return this.#admin;
    const { service, environment } = this.#options.runtime;
    return this.#admin = this.#open(service.getAdminPool(), "admin", this.#keyOf("secret", environment.secretKeys));
  }

  /** The key that the caller was authenticated by, if it is one of `keys`. */
  #keyOf(mode: AuthMode, keys: Readonly<Record<string, string>>): string | undefined {
    const { authMode, keyName } = this.#auth ?? {};
    return authMode === mode && keyName ? keys[keyName] : undefined;
  }

  #open(
    pool: RequestPool<Database>,
    identity: Identity,
    apiKey: ScopeOptions["apiKey"],
  ): HandlerScope<Database> {
    this.#listen();
    this.#options.events.poolUsed(pool);
    const { lane, timeoutMs } = this.#options.lease;
    const [guard, onRefused] = [this.#guard, logRefusals(this.#outcome, this.#options)];
    const timeLeftMs = timeLeftOf(this.#token);
    // The token was verified when the request began. The scope may be opened after it has expired.
    const flow = pool.config.fairShare ? this.#flow() : undefined;
    const scope = pool.scope({ identity, admitted: true, apiKey, lane, timeoutMs, flow, guard, onRefused, timeLeftMs });
    if (this.#state.kind === "aborted") scope.abort(this.#state.reason);
    else if (this.#answered && this.#isBusy) scope.releaseBetweenCalls();
    // First used after the request has ended.
    else if (this.#answered) scope.close();
    return scope;
  }

  /** Returns the flow of the request; `undefined` for that of the pool's identity. */
  #flow(): Flow | undefined {
    const { flowKey, request } = this.#options;
    const subject = this.#auth?.jwtClaims?.sub;
    return flowOf(flowKey, request) ?? (subject === undefined ? undefined : `user ${subject}`);
  }

  /** Rejects use by another request; code that belongs to none may use it. */
  readonly #guard = (): void => {
    const current = currentRequest.getStore();
    if (current === undefined || current === this.#token) return;
    throw new IdentityError("This ctx.pool belongs to another request: do not store it");
  };

  /** Listens for the caller. Most runtimes create a request's signal only when it is asked for. */
  #listen(): void {
    if (this.#caller !== undefined || this.#answered) return;
    this.#caller = this.#options.request.signal;
    this.#caller.addEventListener("abort", this.#onCallerLeft, { once: true });
    if (this.#caller.aborted) this.#onCallerLeft();
  }

  readonly #onCallerLeft = (): void => this.#abort(this.#caller?.reason);

  #onDeadline(error: DeadlineExceededError): void {
    this.#exceeded = error;
    if (this.#auth) this.#abort(error);
    this.#reject?.(error);
    if (!this.#answered || !this.#isStreaming) return;
    // The stream goes on without the pools.
    this.#isStreaming = false;
    this.#closeIfIdle();
  }

  #untilRejected<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#exceeded) this.#onDeadline(this.#exceeded);
      work.then(resolve, reject);
    });
  }

  /** Returns a promise that resolves when `promise` has settled. */
  #keepUntil(promise: PromiseLike<unknown>): Promise<void> {
    const background = this.#background ??= new Set();
    background.add(promise);
    return Promise.resolve(promise).then(() => {}, (reason) => this.#onRejected(reason)).finally(() => {
      background.delete(promise);
      if (background.size > 0) return;
      if (this.#state.kind === "draining") this.#abort(this.#state.reason);
      this.#closeIfIdle();
    });
  }

  #closeIfIdle(): void {
    if (this.#answered && !this.#isBusy) this.#close();
  }

  /** Aborts the work on the pools, after the background work. */
  #abort(reason: unknown): void {
    if (this.#state.kind === "aborted") return;
    if (this.#hasBackground) {
      if (this.#state.kind !== "draining") this.#state = { kind: "draining", reason };
      return;
    }
    this.#state = { kind: "aborted", reason };
    this.#user?.abort(reason);
    this.#admin?.abort(reason);
  }

  #onRejected(reason: unknown): void {
    this.#options.events.rejected(reason, this.#options.request);
  }

  #close(): void {
    const user = this.#user?.close();
    const admin = this.#admin?.close();
    const unreleased = (user?.unreleased ?? 0) + (admin?.unreleased ?? 0);
    if (unreleased > 0) this.#options.events.forgotten(unreleased, this.#options.request);
    if (user?.drained === undefined && admin?.drained === undefined) return this.end();
    Promise.all([user?.drained, admin?.drained]).catch((reason) => this.#onRejected(reason)).finally(() => this.end());
  }

  /** Ends the request: nothing is left that its deadline could abort. {@linkcode answered} calls it in time. */
  end(): void {
    this.#timeout.cancel();
    this.#token.request = undefined;
    underWay.delete(this.#token);
    this.#leave?.();
  }
}
