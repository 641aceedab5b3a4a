/**
 * The lifetime of one request: its deadline, its caller, its background work.
 *
 * @module
 */
import type { AuthResult } from "@supabase/server";
import { LeaseReleasedError } from "../../pool/mod.ts";
import { type Deadlines, type DeadlineTimer, isPromiseLike } from "../../resilience/mod.ts";
import type { HandlerScope } from "../handler/runtime.ts";
import { watchStream } from "../responses/handler_response.ts";
import { type CurrentRequest, currentRequest, type RequestToken } from "./current_request.ts";
import { keepIsolateUntil } from "./edge_runtime.ts";
import { createContext, type PooledContext } from "./pooled_context.ts";
import { CallerLeftError, DeadlineExceededError } from "./request_errors.ts";
import { NOT_USED, RequestPools, type RequestPoolsOptions } from "./request_pools.ts";
import { underWay } from "./unhandled_rejections.ts";

/** The state of a request's work, independent of the handler's response. */
type RequestState =
  | { readonly kind: "open" }
  /** To be aborted with `reason` once the background work has settled: the handler wants that work finished. */
  | { readonly kind: "draining"; readonly reason: unknown }
  /** Its scopes are aborted with `reason`. */
  | { readonly kind: "aborted"; readonly reason: unknown };

const OPEN: RequestState = Object.freeze({ kind: "open" });

/** The dependencies of a request. */
export interface RequestScopeOptions<Database> extends RequestPoolsOptions<Database> {
  /** The deadlines of the handler's requests. */
  readonly deadlines: Deadlines;
  /** The longest time for the request, in ms. */
  readonly deadlineMs: number;
}

/** One request. It ends when it is answered, every body is read, and its background work has settled. */
export class RequestScope<Database> implements CurrentRequest {
  readonly #token: RequestToken;
  readonly #options: RequestScopeOptions<Database>;
  readonly #leave: (() => void) | undefined;
  readonly #timeout: DeadlineTimer;
  #exceeded: DeadlineExceededError | undefined = undefined;
  /** Rejects what the request waits for. */
  #reject: ((error: Error) => void) | undefined = undefined;
  /** Its use of the pools, once its caller is known. */
  #pools: RequestPools<Database> | undefined = undefined;
  // Created when it is needed: most requests need none.
  #background: Set<PromiseLike<unknown>> | undefined = undefined;
  #caller: AbortSignal | undefined = undefined;
  #state: RequestState = OPEN;
  /** True once the handler has answered. Bodies and background work may still need the pools. */
  #answered = false;
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
    return this.#pools?.waitedMs ?? 0;
  }

  /** The time this request has waited for the project so far, in ms: for calls and statements under way. */
  get upstreamMs(): number {
    return this.#pools?.upstreamMs ?? 0;
  }

  /** The instant at which it began, in ms of the clock. */
  get startedMs(): number {
    return this.#timeout.deadline - this.#options.deadlineMs;
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
    const pools = this.#pools = new RequestPools(this.#options, auth, this.#token, this);
    underWay.add(this.#token);
    const context = createContext(auth, pools, (promise) => keepIsolateUntil(this.#keepUntil(promise)));
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
    return this.#pools ? this.#pools.explain(error) : error;
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
    const body = watchStream(stream, (failure) => {
      if (failure) events.bodyFailed(this.explain(failure.error), request);
      if (!this.#isStreaming) return;
      this.#isStreaming = false;
      this.#closeIfIdle();
    });
    try {
      const sent = new Response(body, response);
      this.#isStreaming = true;
      return sent;
    } catch (error) {
      // An object of the application's own class may show a status that does not exist, or throw.
      body.cancel(error).catch(() => {});
      throw error;
    }
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
    if (failed && (this.#pools?.isUsed || this.#hasBackground)) this.#abort(new LeaseReleasedError());
    this.#answered = true;
    this.#pools?.answered(!failed);
    if (!this.#isBusy) return this.#close();
    if (!this.#isStreaming) this.#timeout.cancel();
    this.#pools?.releaseBetweenCalls();
  }

  /** True while the request may go on after its response: its body is a stream, or background work has not settled. */
  get #isBusy(): boolean {
    return this.#isStreaming || this.#hasBackground;
  }

  get #hasBackground(): boolean {
    return this.#background !== undefined && this.#background.size > 0;
  }

  /** Lets a scope that was opened now take part in what has happened to the request. */
  opened(scope: HandlerScope<Database>): void {
    this.#listen();
    if (this.#state.kind === "aborted") scope.abort(this.#state.reason);
    else if (this.#answered && this.#isBusy) scope.releaseBetweenCalls();
    // First used after the request has ended.
    else if (this.#answered) scope.close();
  }

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
    if (this.#pools) this.#abort(error);
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
    this.#pools?.abort(reason);
  }

  #onRejected(reason: unknown): void {
    this.#options.events.rejected(reason, this.#options.request);
  }

  #close(): void {
    const { unreleased, drained } = this.#pools?.close() ?? NOT_USED;
    if (unreleased > 0) this.#options.events.forgotten(unreleased, this.#options.request);
    if (drained === undefined) return this.end();
    drained.catch((reason) => this.#onRejected(reason)).finally(() => this.end());
  }

  /** Ends the request: nothing is left that its deadline could abort. {@linkcode answered} calls it in time. */
  end(): void {
    this.#timeout.cancel();
    this.#token.request = undefined;
    underWay.delete(this.#token);
    this.#leave?.();
  }
}
