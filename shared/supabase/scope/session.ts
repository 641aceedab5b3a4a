/**
 * The pool, for the time of one request.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  AcquireAbortedError,
  type AcquireOptions,
  DoubleReleaseError,
  LateReleaseError,
  type PoolStats,
  type ReleaseOptions,
} from "../../pool/mod.ts";
import type { ClientLease, ClientLeaseOptions, ClientPool, DeferredLease } from "./client_lease.ts";
import type { SupabasePoolConfig } from "../config.ts";
import { type ClientMaterial, DeferredClient } from "./deferred_lease.ts";
import { IdentityError } from "../errors.ts";
import type { PoolHealth } from "../health.ts";
import type { Identity } from "../identity.ts";
import { LeaseCalls } from "../calls/lease_calls.ts";
import type { PlaceUser, SharedPlace } from "./shared_place.ts";
import { createView } from "../view/view.ts";

/** Whom a {@linkcode ClientSession} is for, and how its place is taken. */
export interface SessionOptions extends AcquireOptions {
  /** On whose behalf it acts. Default: the pool's own identity, anonymous or admin. */
  identity?: Identity | undefined;
  /** Another API key of the pool's kind, sent in place of the pool's own. Default: the pool's. */
  apiKey?: string | undefined;
}

/**
 * The pool for one caller, and for the time of one request: all that is leased
 * from it while it holds a place shares that place. What is nested cannot wait
 * for what is around it, however small the pool, and a request that leases a
 * hundred times still has `callsPerLease` calls under way.
 */
export interface ClientSession<Database = unknown> extends ClientPool<Database> {
  /** How long it has waited for places so far, in ms. */
  readonly waitedMs: number;
  /** Aborts with {@linkcode abort}, or with the signal the session was given. */
  readonly signal: AbortSignal;
  /** A client that can be used at once and takes part in the place from its first call on. */
  defer(options?: AcquireOptions): DeferredLease<Database>;
  /** Ends every lease and call under way with `reason`, gives the place back at once, and refuses what comes later. */
  abort(reason: unknown): void;
}

/** What a session asks its pool. */
export interface SessionPool {
  readonly config: Readonly<SupabasePoolConfig>;
  getStats(): PoolStats;
  healthCheck(): Promise<PoolHealth>;
}

/** See {@linkcode ClientSession}. */
export class PlaceSession<Database> implements ClientSession<Database> {
  readonly #pool: SessionPool;
  readonly #place: SharedPlace;
  readonly #material: ClientMaterial;
  readonly #options: SessionOptions;
  /** Made when it is asked for: it costs more than the rest of a session. */
  #controller: AbortController | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;
  #aborted: { readonly reason: unknown } | undefined = undefined;

  constructor(pool: SessionPool, place: SharedPlace, material: ClientMaterial, options: SessionOptions) {
    this.#pool = pool;
    this.#place = place;
    this.#material = material;
    this.#options = options;
  }

  get config(): Readonly<SupabasePoolConfig> {
    return this.#pool.config;
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const controller = this.#controller = new AbortController();
    if (this.#aborted) controller.abort(this.#aborted.reason);
    const { signal: own } = this.#options;
    return this.#signal = own ? AbortSignal.any([own, controller.signal]) : controller.signal;
  }

  get waitedMs(): number {
    return this.#place.waitedMs;
  }

  getStats(): PoolStats {
    return this.#pool.getStats();
  }

  healthCheck(): Promise<PoolHealth> {
    return this.#pool.healthCheck();
  }

  defer(options: AcquireOptions = {}): DeferredLease<Database> {
    return new DeferredClient<Database>(this.#material, this.#place, this.#with(options));
  }

  /** @throws {IdentityError} when asked to act for somebody else. */
  async lease(options: ClientLeaseOptions = {}): Promise<ClientLease<Database>> {
    if (options.identity !== undefined && !sameIdentity(options.identity, this.#options.identity)) {
      throw new IdentityError("This pool acts for its own caller only: leave `identity` out");
    }
    const lease = new SharedLease<Database>(this.#material, this.#place, this.#with(options));
    try {
      await lease.enter();
    } catch (error) {
      this.#place.leave(lease);
      throw error;
    }
    return lease;
  }

  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#place.cut(reason);
    this.#controller?.abort(reason);
  }

  #with({ lane = this.#options.lane, timeoutMs = this.#options.timeoutMs, signal: own }: AcquireOptions) {
    const { signal } = this.#options;
    return { lane, timeoutMs, signal: signal && own ? AbortSignal.any([signal, own]) : own ?? signal };
  }
}

function sameIdentity(one: Identity, other: Identity | undefined): boolean {
  if (typeof one === "string" || typeof other !== "object") return one === other;
  return one.token === other.token;
}

/** A lease that shares a place with others of its request. */
class SharedLease<Database> implements ClientLease<Database>, PlaceUser {
  readonly client: SupabaseClient<Database>;
  readonly #calls: LeaseCalls;
  readonly #place: SharedPlace;
  readonly #options: AcquireOptions;
  #released = false;

  constructor({ parts, settings, credentials }: ClientMaterial, place: SharedPlace, options: AcquireOptions) {
    this.#place = place;
    this.#options = options;
    this.#calls = new LeaseCalls(settings, credentials, options.signal, { turns: place.turns });
    place.join(this);
    this.client = createView(parts, this.#calls) as unknown as SupabaseClient<Database>;
  }

  /** Waits for the place, or until its signal aborts. */
  async enter(): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) throw new AcquireAbortedError(signal.reason);
    const entered = this.#place.enter(this, this.#options);
    if (entered === undefined || signal === undefined) return await entered;
    const gaveUp = Promise.withResolvers<never>();
    const abort = () => {
      this.#place.leave(this);
      gaveUp.reject(new AcquireAbortedError(signal.reason));
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([entered, gaveUp.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  lost(reason: unknown): void {
    this.#calls.end(reason);
  }

  release(options?: ReleaseOptions): void {
    if (this.#released) throw new DoubleReleaseError();
    this.#released = true;
    this.#calls.end();
    this.#place.leave(this, options?.destroy === true);
  }

  [Symbol.dispose](): void {
    try {
      if (!this.#released) this.release();
    } catch (error) {
      if (!(error instanceof LateReleaseError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }
}
