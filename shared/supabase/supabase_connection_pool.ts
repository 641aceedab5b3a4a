/**
 * The pool of Supabase clients.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { SupabaseClient } from "@supabase/supabase-js";
import { CachedProbe, systemClock, Timeouts } from "../resilience/mod.ts";
import {
  ConfigError,
  ForeignReleaseError,
  PoolClosedError,
  type PoolEvents,
  type PoolLimits,
  type PoolRuntime,
  type PoolStats,
  type ReleaseOptions,
  ResourcePool,
} from "../pool/mod.ts";
import type { ClientLease, ClientLeaseOptions, ClientPool, DeferredLease } from "./scope/client_lease.ts";
import type { SupabasePoolConfig } from "./config.ts";
import { MAX_PROBE_MS, type PoolHealth, toTestQuery } from "./health.ts";
import { HeldLease } from "./scope/held_lease.ts";
import { Identities, type Identity } from "./identity.ts";
import { kindOfKey, type PoolKind } from "./keys.ts";
import { type ClientMaterial, DeferredClient } from "./scope/deferred_lease.ts";
import { type CallSettings, LeaseCalls } from "./calls/lease_calls.ts";
import { type ClientParts, PooledClient, pooledClientFactory } from "./pooled_client.ts";
import { Registry } from "./registry.ts";
import { type ClientSession, PlaceSession, type SessionOptions } from "./scope/session.ts";
import { SharedPlace } from "./scope/shared_place.ts";

/**
 * A pool of Supabase clients for one project and one key.
 *
 * A Supabase client is no connection: what the pool gives is a bound on what is
 * sent at once, isolation between callers, deadlines, and a view of what is in
 * use. Each lease gets a *view* of a pooled client that carries its own caller's
 * identity and dies with the lease.
 *
 * ```ts
 * const pool = SupabaseConnectionPool.getInstance(url, publishableKey, { maxConnections: 20 });
 * await using lease = await pool.lease({ identity: { token } });
 * const { data, error } = await lease.client.from("budgets").select();
 * ```
 */
export class SupabaseConnectionPool<Database = unknown> implements ClientPool<Database> {
  // deno-lint-ignore no-explicit-any -- one registry holds the pools of every schema
  static readonly #registry = new Registry<SupabaseConnectionPool<any>>();

  /** The options in force. */
  readonly config: Readonly<SupabasePoolConfig>;
  /** Whether clients of this pool act as callers (`user`) or past row-level security (`admin`), by the key. */
  readonly kind: PoolKind;

  readonly #url: string;
  readonly #identities: Identities;
  readonly #settings: CallSettings;
  readonly #pool: ResourcePool<PooledClient>;
  readonly #probe: CachedProbe<PoolHealth["details"]["testQuery"]>;
  /** Leases of `acquire`, by their view. Ended ones stay, so that a second release is told from a foreign one. */
  readonly #acquired = new WeakMap<object, ClientLease<Database>>();
  #spare: ClientParts | undefined = undefined;
  #closed = false;

  private constructor(url: string, key: string, config: Readonly<SupabasePoolConfig>, runtime: PoolRuntime) {
    this.config = config;
    this.kind = kindOfKey(key);
    this.#url = url;
    this.#identities = new Identities(this.kind, key, config.userRoles);
    const { requestTimeoutMs, callsPerLease, fetch } = config;
    const clock = runtime.clock ?? systemClock;
    this.#settings = { baseUrl: url, timeouts: new Timeouts(clock, requestTimeoutMs), callsPerLease, fetch, clock };
    this.#pool = new ResourcePool(pooledClientFactory(url, config), coreOptions(config), runtime);
    this.#probe = new CachedProbe({
      run: (signal) => this.#runProbe(signal),
      report: toTestQuery,
      timeoutMs: Math.min(config.acquireTimeoutMs, requestTimeoutMs, MAX_PROBE_MS),
      clock,
    });
  }

  /**
   * The pool for a project, key and client options (`schema`, `headers`,
   * `requestTimeoutMs`, `fetch`). There is one for each; it is made when it is first asked for, and anew after a
   * {@linkcode shutdown}.
   *
   * @param url The project's address, e.g. `https://abc.supabase.co`.
   * @param key A publishable (or legacy anon) key for a user pool, a secret (or legacy service_role) key for an
   * admin pool.
   * @param config Without it, the pool that is there is returned as it is, or one with the defaults is made.
   * @param runtime What a new pool runs on; for tests.
   * @throws {ConfigError} listing every bad value, and the options that differ from those of the pool that is there.
   */
  static getInstance<Database = unknown>(
    url: string,
    key: string,
    config?: Partial<SupabasePoolConfig>,
    runtime: PoolRuntime = {},
  ): SupabaseConnectionPool<Database> {
    const address = checkAddress(url, key);
    return this.#registry.get(address, key, config, (parsed) => new this(address, key, parsed, runtime));
  }

  /**
   * Leases a client. It must be released; `await using` does it.
   *
   * @throws {IdentityError} when the pool cannot act for the identity.
   * @throws {AcquireTimeoutError} when none came free in time.
   * @throws {QueueFullError} when `maxWaiters` wait already.
   * @throws {AcquireAbortedError} when `signal` aborted.
   * @throws {PoolClosedError} once `shutdown` was called.
   */
  async lease(options: ClientLeaseOptions = {}): Promise<ClientLease<Database>> {
    const credentials = this.#identities.credentialsFor(options.identity);
    const lease = await this.#pool.lease(options);
    // A shutdown may have taken it back since it was granted.
    if (!lease.active) throw new PoolClosedError();
    const calls = new LeaseCalls(this.#settings, credentials, options.signal);
    lease.onLost((reason) => calls.end(reason));
    return new HeldLease<Database>(lease, calls);
  }

  /**
   * Leases a client by itself, to be given back with {@linkcode release}.
   *
   * @throws what {@linkcode lease} throws.
   */
  async acquire(options?: ClientLeaseOptions): Promise<SupabaseClient<Database>> {
    const lease = await this.lease(options);
    this.#acquired.set(lease.client, lease);
    return lease.client;
  }

  /**
   * Gives back what {@linkcode acquire} lent.
   *
   * @throws {DoubleReleaseError} when it was released already.
   * @throws {ForeignReleaseError} when this pool did not lend it.
   * @throws {LateReleaseError} when the pool, shut down, had taken it back.
   */
  release(client: SupabaseClient<Database>, options?: ReleaseOptions): void {
    const lease = this.#acquired.get(client);
    if (!lease) throw new ForeignReleaseError();
    lease.release(options);
  }

  /**
   * A client that can be used at once; its first call waits for a place in the
   * pool. For a request's context, where most requests make a call and some none.
   *
   * @throws {IdentityError} when the pool cannot act for the identity.
   */
  defer(options: ClientLeaseOptions = {}): DeferredLease<Database> {
    return new DeferredClient<Database>(this.#material(options.identity), this.#place(options.signal), options);
  }

  /**
   * This pool for one request: see {@linkcode ClientSession}.
   *
   * @throws {IdentityError} when the pool cannot act for the identity, or the API key is not of its kind.
   */
  session(options: SessionOptions = {}): ClientSession<Database> {
    const material = this.#material(options.identity, options.apiKey);
    return new PlaceSession<Database>(this, this.#place(options.signal), material, options);
  }

  /** This pool for one caller: what is leased from it acts for `identity`, and ends with `signal`. */
  as(identity: Identity, { signal }: { signal?: AbortSignal | undefined } = {}): ClientPool<Database> {
    const both = (own: AbortSignal | undefined) => signal && own ? AbortSignal.any([signal, own]) : own ?? signal;
    return {
      config: this.config,
      signal,
      lease: (options) => this.lease({ ...options, identity, signal: both(options?.signal) }),
      getStats: () => this.getStats(),
      healthCheck: () => this.healthCheck(),
    };
  }

  /** How the pool stands, as an immutable snapshot. */
  getStats(): PoolStats {
    return this.#pool.getStats();
  }

  /** How many clients there may be, and for whom. */
  get limits(): PoolLimits {
    return this.#pool.limits;
  }

  /**
   * Changes how many clients there may be; see `ResourcePool.resize`.
   *
   * @throws {ConfigError} listing every bad value; nothing is changed then.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#pool.resize(limits);
  }

  /**
   * Runs `healthQuery` on the probe slot, which is outside `maxConnections` and
   * in no statistic. One query runs at a time and its result is reused for one
   * second. Never rejects.
   */
  async healthCheck(): Promise<PoolHealth> {
    const testQuery = await this.#probe.check();
    return { healthy: testQuery.success && !this.#closed, details: { stats: this.getStats(), testQuery } };
  }

  /** Calls `listener` at each event of that name until the subscription is disposed of. */
  on<K extends keyof PoolEvents>(name: K, listener: (event: PoolEvents[K]) => void): Disposable {
    return this.#pool.on(name, listener);
  }

  /**
   * Lends nothing any more, refuses those who wait, lets holders finish until
   * the deadline and then ends what they still do. The first part is done before
   * this returns. Idempotent.
   *
   * @param deadlineMs Default: `shutdownTimeoutMs`.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    if (!this.#closed) this.#probe.stop(new PoolClosedError());
    this.#closed = true;
    SupabaseConnectionPool.#registry.delete(this);
    return this.#pool.shutdown(deadlineMs);
  }

  #place(signal: AbortSignal | undefined): SharedPlace {
    return new SharedPlace(this.#pool, this.config.callsPerLease, signal);
  }

  #material(identity: Identity | undefined, apiKey?: string): ClientMaterial {
    const credentials = this.#identities.credentialsFor(identity, apiKey);
    return { parts: this.#parts(), settings: this.#settings, credentials };
  }

  /** What views are derived from where no pooled client is at hand. */
  #parts(): ClientParts {
    return this.#spare ??= PooledClient.partsOf(new PooledClient(this.#url, this.config));
  }

  async #runProbe(signal: AbortSignal): Promise<void> {
    await using lease = await this.lease({ lane: "probe", signal });
    // A query that ignores the signal must not keep the probe slot.
    const { error } = await abortable(Promise.resolve(this.config.healthQuery(lease.client)), signal);
    if (error) throw error;
  }
}

/** The options of the core; the others concern calls. */
function coreOptions(config: Readonly<SupabasePoolConfig>): Partial<SupabasePoolConfig> {
  const { maxRetries: _1, requestTimeoutMs: _2, callsPerLease: _3, schema: _4, headers: _5, ...rest } = config;
  const { userRoles: _6, healthQuery: _7, fetch: _8, ...core } = rest;
  return core;
}

/** The address in its one form: no slash at its end. Neither it nor the key is shown in the error. */
function checkAddress(url: string, key: string): string {
  const issues = [];
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : undefined;
  if (
    !parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password || parsed.search || parsed.hash
  ) {
    issues.push({ path: "url", message: "must be the project's address: http(s)://host[:port], nothing secret in it" });
  }
  if (typeof key !== "string" || !/^[\x21-\x7e]+$/.test(key)) {
    issues.push({ path: "key", message: "must be one of the project's API keys" });
  }
  if (!parsed || issues.length > 0) throw new ConfigError(issues, "Supabase pool");
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, "");
}
