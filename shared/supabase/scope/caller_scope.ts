/**
 * One caller's use of one slot.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  AcquireAbortedError,
  type AcquireLane,
  type AcquireOptions,
  DoubleReleaseError,
  type Flow,
  LateReleaseError,
  type Lease,
  LeaseReleasedError,
  type PoolStats,
  type ReleaseOptions,
} from "../../pool/mod.ts";
import type { Clock, RetryBudget } from "../../resilience/mod.ts";
import type { CallSettings } from "../calls/call_host.ts";
import { LeaseFetch } from "../calls/lease_fetch.ts";
import type { ClientSlot, ClientTemplate } from "../client_template.ts";
import type { SupabasePoolConfig } from "../config.ts";
import { IdentityError } from "../errors.ts";
import type { PoolHealth } from "../health.ts";
import type { Credentials, Identity } from "../identity.ts";
import { createView, failureBehind } from "../view/view.ts";
import type { ClientLease, ClientLeaseOptions, ClientPool } from "./client_lease.ts";
import { SlotHolder, type SlotPool } from "./slot_holder.ts";

/** Options of a scope. */
export interface ScopeOptions extends AcquireOptions {
  /** The identity that the scope acts for. Default: the pool's own, anonymous or admin. */
  identity?: Identity | undefined;
  /**
   * True if the token of `identity` was valid when the request of this scope began: then it serves the request until
   * 30 s after its `exp`, as the Data API accepts it. Default: `false`; a token that has expired is rejected.
   */
  admitted?: boolean | undefined;
  /**
   * The flow whose share of the pool the scope takes, in a pool with `fairShare`; that of a single lease or client is not
   * used. Default: one for each user, by the `sub` of the token, one for all anonymous callers, and one for admin work.
   */
  flow?: Flow | undefined;
  /** Another API key of the pool's kind, sent in place of the pool's own. Default: the pool's. */
  apiKey?: string | undefined;
  /** Aborts the scope when it aborts, as {@linkcode CallerScope.abort} does. Default: none. */
  signal?: AbortSignal | undefined;
  /** Called before each lease and client; what it throws is thrown. Default: none. */
  guard?: (() => void) | undefined;
  /** Returns the time that the caller has left, in ms: nothing is retried that would begin later. Default: no limit. */
  timeLeftMs?: (() => number) | undefined;
  /** Called with the reason when a lease or a client's call is refused because the scope has ended. Default: none. */
  onRefused?: ((reason: unknown) => void) | undefined;
  /** Called with the number of each lease that the scope takes: `leaseId` in the events of the pool. Default: none. */
  onLeased?: ((leaseId: number) => void) | undefined;
  /** Returns headers that carry the trace of the caller, such as `traceparent`, for each call. Default: none. */
  traceHeaders?: (() => Readonly<Record<string, string>> | undefined) | undefined;
}

/** The outcome of {@linkcode CallerScope.close}. */
export interface ScopeEnd {
  /** The number of leases that were not released, waiting ones included. They have been ended. */
  readonly unreleased: number;
  /** Resolves when the last body has been read and the slot is free; `undefined` if it is free now. */
  readonly drained: Promise<void> | undefined;
}

/** The pool, as its scopes use it. */
export interface ScopePool {
  readonly config: Readonly<SupabasePoolConfig>;
  readonly slots: SlotPool;
  readonly clock: Clock;
  readonly settings: CallSettings;
  /** The template of views. */
  readonly template: ClientTemplate;
  getStats(): PoolStats;
  healthCheck(): Promise<PoolHealth>;
}

type ScopeState =
  | { readonly kind: "open" }
  | { readonly kind: "closed"; readonly drained: Promise<void> | undefined }
  | { readonly kind: "aborted"; readonly reason: unknown };

const OPEN: ScopeState = Object.freeze({ kind: "open" });

/** The maximum number of leases that are kept for {@linkcode CallerScope.failureOf}. */
const KEPT_LEASES = 8;

const NO_OPTIONS: ClientLeaseOptions = Object.freeze({});

/**
 * One caller's use of one slot, for the length of a request, for example. All
 * that is leased from it while its slot is held shares the slot: a service that
 * calls another cannot wait for itself, however small the pool is, and a caller
 * that leases a hundred times still has at most `callsPerLease` calls under way.
 *
 * The slot is taken when it is needed and released when no lease uses it;
 * {@linkcode client} keeps it from its first call until the scope is closed.
 *
 * @example
 * ```ts
 * await using scope = pool.scope({ identity: { token } });
 * const { data } = await scope.client().from("budgets").select();
 * ```
 */
export class CallerScope<Database = unknown> implements ClientPool<Database>, AsyncDisposable {
  /** Returns the time that the caller has left, in ms. Default: no limit. */
  readonly timeLeftMs?: (() => number) | undefined;
  /** Bounds the retries of all that share the pool. Default: none. */
  readonly retryBudget?: RetryBudget | undefined;
  readonly #pool: ScopePool;
  readonly #credentials: Credentials;
  readonly #options: ScopeOptions;
  readonly #slot: SlotHolder<LeaseFetch>;
  readonly #views: LeaseFetch[] = [];
  /** The latest leases, released or not: they know why their calls failed. */
  readonly #latest: LeaseFetch[] = [];
  #state: ScopeState = OPEN;
  #releasesBetweenCalls = false;
  /** Created when it is asked for: it costs more than the rest of a scope. */
  #controller: AbortController | undefined = undefined;

  /** For the pool: see `SupabaseConnectionPool.scope`. */
  constructor(pool: ScopePool, credentials: Credentials, options: ScopeOptions, flow?: Flow) {
    this.#pool = pool;
    this.#credentials = credentials;
    this.#options = options;
    this.timeLeftMs = options.timeLeftMs;
    this.retryBudget = pool.settings.budget;
    this.#slot = new SlotHolder(pool.slots, pool.clock, pool.config.callsPerLease, options.timeLeftMs, flow);
    this.#slot.traceHeaders = options.traceHeaders;
    this.#slot.onLeased = options.onLeased;
    const { signal } = options;
    if (!signal) return;
    if (signal.aborted) this.abort(signal.reason);
    else signal.addEventListener("abort", this.#onSignal, { once: true });
  }

  /** The options in force. */
  get config(): Readonly<SupabasePoolConfig> {
    return this.#pool.config;
  }

  /** Aborts with {@linkcode abort}. */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#state.kind === "aborted") this.#controller.abort(this.#state.reason);
    return this.#controller.signal;
  }

  /** The time it has waited for slots so far, in ms. */
  get waitedMs(): number {
    return this.#slot.waitedMs;
  }

  /** The time in which calls of its clients were under way so far, in ms. Time in which several were counts once. */
  get upstreamMs(): number {
    return this.#slot.upstream.totalMs;
  }

  /** Returns the pool's current statistics. */
  getStats(): PoolStats {
    return this.#pool.getStats();
  }

  /** Checks whether the pool can reach the project; see `SupabaseConnectionPool.healthCheck`. */
  healthCheck(): Promise<PoolHealth> {
    return this.#pool.healthCheck();
  }

  /**
   * Returns a client that can be used at once. Its first call takes the slot,
   * and fails as a lease does; the slot is released when the scope is closed.
   *
   * @param options How the slot is taken; its `signal` aborts the client's calls. Default: as the scope's options say.
   * @example
   * ```ts
   * const { data } = await scope.client({ lane: "high" }).from("budgets").select();
   * ```
   */
  client(options: AcquireOptions = NO_OPTIONS): SupabaseClient<Database> {
    this.#options.guard?.();
    const { lane = this.#options.lane, timeoutMs = this.#options.timeoutMs, signal } = options;
    const { settings, template } = this.#pool;
    const { onRefused } = this.#options;
    const fetch = new LeaseFetch(
      settings,
      this.#credentials,
      this.#slot,
      signal,
      { lane, timeoutMs, onRefused },
      this.#retriesReads(lane),
    );
    if (this.#releasesBetweenCalls) this.#leaveWhenIdle(fetch);
    if (this.#state.kind === "open") this.#views.push(fetch);
    else fetch.end(this.#state.kind === "aborted" ? this.#state.reason : undefined);
    return createView(template, fetch) as unknown as SupabaseClient<Database>;
  }

  /**
   * Leases a client. It must be released; `await using` does it.
   *
   * @param options How the slot is taken; its `signal` ends the wait and aborts the lease's calls. Default: as the
   * scope's options say.
   * @throws {IdentityError} when `identity` is not the scope's own.
   * @throws {LeaseReleasedError} when the scope is closed.
   * @throws {AcquireAbortedError} when the scope or `signal` aborted.
   * @throws {AcquireTimeoutError} when no slot became free in time.
   * @throws {QueueFullError} when `maxWaiters` wait already.
   * @throws {PoolClosedError} once the pool is shut down.
   * @example
   * ```ts
   * await using lease = await scope.lease();
   * const { data } = await lease.client.from("budgets").select();
   * ```
   */
  async lease(options: ClientLeaseOptions = NO_OPTIONS): Promise<ClientLease<Database>> {
    this.#options.guard?.();
    if (options.identity !== undefined && !sameIdentity(options.identity, this.#options.identity)) {
      throw new IdentityError("This pool is bound to its caller: omit `identity`");
    }
    if (this.#state.kind !== "open") throw this.#refusal();
    const { lane = this.#options.lane, timeoutMs = this.#options.timeoutMs, signal, retryReads } = options;
    const { settings, template } = this.#pool;
    const fetch = new LeaseFetch(
      settings,
      this.#credentials,
      this.#slot,
      signal,
      undefined,
      this.#retriesReads(lane, retryReads),
    );
    this.#remember(fetch);
    const taken = this.#slot.take(fetch, lane, timeoutMs, signal);
    if (taken) {
      await taken;
      // Aborted between the grant and this turn. A scope that was closed meanwhile has ended the lease.
      if (this.#isAborted()) throw this.#refusal();
    }
    return new ScopedLease<Database>(template, fetch, this.#slot);
  }

  /**
   * For the pool: the one lease of a scope whose slot was leased for it.
   *
   * @internal
   */
  adopt(slot: Lease<ClientSlot>, { signal, lane, retryReads }: ClientLeaseOptions): ClientLease<Database> {
    const { settings, template } = this.#pool;
    const fetch = new LeaseFetch(
      settings,
      this.#credentials,
      this.#slot,
      signal,
      undefined,
      this.#retriesReads(lane, retryReads),
    );
    this.#slot.adopt(slot, fetch);
    return new ScopedLease<Database>(template, fetch, this.#slot);
  }

  /** The error of a call of this scope that supabase-js has flattened to `error`; `undefined` if it is none of them. */
  failureOf(error: unknown): unknown {
    for (const fetch of [...this.#views, ...this.#slot.members, ...this.#latest]) {
      const failure = failureBehind(fetch, error);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /**
   * Releases the slot whenever no call is under way, from now on; the next call takes it again. For a request that has
   * been answered while a stream or background work goes on. Idempotent.
   */
  releaseBetweenCalls(): void {
    this.#releasesBetweenCalls = true;
    for (const view of this.#views) this.#leaveWhenIdle(view);
  }

  /**
   * Refuses new leases and calls, ends leases that were not released, and
   * releases the slot when the calls of its clients have been answered and their
   * bodies read. A body that is not being read is canceled after 100 ms. One whose
   * reader has stopped for 100 ms holds no slot. The bodies keep the scope, so
   * that {@linkcode abort} still ends them. Idempotent.
   */
  close(): ScopeEnd {
    if (this.#state.kind === "closed") return { unreleased: 0, drained: this.#state.drained };
    if (this.#state.kind === "aborted") return { unreleased: 0, drained: undefined };
    this.#state = { kind: "closed", drained: undefined };
    const unreleased = this.#slot.members.filter(({ isView }) => !isView);
    for (const fetch of unreleased) {
      fetch.end();
      this.#slot.leave(fetch);
    }
    // Those that came last leave first: the holder looks for a member from the end of its list.
    const draining = this.#views.toReversed().map((fetch) => this.#finish(fetch)).filter((each) => each !== undefined);
    if (draining.length === 0) {
      this.#stopListening();
      return { unreleased: unreleased.length, drained: undefined };
    }
    const drained = Promise.all(draining).then(() => this.#stopListening());
    this.#state = { kind: "closed", drained };
    return { unreleased: unreleased.length, drained };
  }

  /** Aborts every lease, client and wait with `reason`, releases the slot at once, and refuses what comes later. */
  abort(reason: unknown): void {
    if (this.#state.kind === "aborted") return;
    this.#state = { kind: "aborted", reason };
    this.#stopListening();
    const members = this.#slot.members.filter(({ isView }) => !isView);
    for (const fetch of [...this.#views, ...members]) fetch.end(reason);
    this.#slot.abort(reason);
    this.#controller?.abort(reason);
  }

  /** {@linkcode close}, and waits for the bodies. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().drained;
  }

  /** A method, so that the compiler does not take the state for what it was before a wait. */
  #isAborted(): boolean {
    return this.#state.kind === "aborted";
  }

  /** Returns whether reads are retried. A probe tells how the project is now. */
  #retriesReads(lane: AcquireLane | undefined, asked: boolean = this.#pool.config.retryReads): boolean {
    return asked && this.#pool.config.retries && lane !== "probe";
  }

  #remember(fetch: LeaseFetch): void {
    if (this.#latest.push(fetch) > KEPT_LEASES) this.#latest.shift();
  }

  #finish(view: LeaseFetch): Promise<void> | undefined {
    const quiet = view.finish();
    if (quiet) this.#leaveWhenIdle(view);
    else this.#slot.leave(view);
    return quiet;
  }

  #leaveWhenIdle(view: LeaseFetch): void {
    view.onIdle ??= () => void this.#slot.leave(view);
    view.checkIdle();
  }

  #refusal(): Error {
    const error = this.#state.kind === "aborted"
      ? new AcquireAbortedError(this.#state.reason)
      : new LeaseReleasedError("Cannot lease a client: the scope is closed");
    this.#options.onRefused?.(error);
    return error;
  }

  readonly #onSignal = (): void => this.abort(this.#options.signal?.reason);

  #stopListening(): void {
    this.#options.signal?.removeEventListener("abort", this.#onSignal);
  }
}

/** A member of a scope's slot, with the client it uses. */
class ScopedLease<Database> implements ClientLease<Database> {
  readonly client: SupabaseClient<Database>;
  readonly #fetch: LeaseFetch;
  readonly #slot: SlotHolder<LeaseFetch>;
  #released = false;

  /** @param fetch What its client sends through. It is in `slot`. */
  constructor(template: ClientTemplate, fetch: LeaseFetch, slot: SlotHolder<LeaseFetch>) {
    this.#fetch = fetch;
    this.#slot = slot;
    this.client = createView(template, fetch) as unknown as SupabaseClient<Database>;
  }

  release(options?: ReleaseOptions): void {
    if (this.#released) throw new DoubleReleaseError();
    this.#released = true;
    this.#fetch.end();
    // Where the scope has ended it, there is nothing left to release.
    if (!this.#slot.leave(this.#fetch, options?.destroy === true)) throw new LateReleaseError();
  }

  [Symbol.dispose](): void {
    if (this.#released) return;
    this.#released = true;
    this.#fetch.end();
    this.#slot.leave(this.#fetch);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }
}

function sameIdentity(one: Identity, other: Identity | undefined): boolean {
  if (typeof one === "string" || typeof other !== "object") return one === other;
  return one.token === other.token;
}
