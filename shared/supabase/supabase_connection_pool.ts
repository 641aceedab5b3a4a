/**
 * The pool of Supabase clients.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  anySignal,
  CachedProbe,
  type CircuitBreaker,
  type Clock,
  Deadlines,
  type EventHub,
  type Listener,
  RetryBudget,
  Subscriptions,
  systemClock,
} from "../resilience/mod.ts";
import {
  ConfigError,
  type Flow,
  ForeignReleaseError,
  optionsOf,
  PoolClosedError,
  type PoolConfig,
  type PoolLimits,
  type PoolRecorder,
  type PoolRuntime,
  type PoolStats,
  type ReleaseOptions,
  ResourcePool,
} from "../pool/mod.ts";
import type { CallSettings } from "./calls/call_host.ts";
import { ReadBalancer } from "./calls/read_balancer.ts";
import { TargetGuards } from "./calls/target_guard.ts";
import { CircuitEventHub, type ClientPoolEvents, PoolCircuits } from "./circuits.ts";
import { AutoLimit } from "./auto_limit.ts";
import { type ClientSlot, clientSlots, type ClientTemplate, createTemplate } from "./client_template.ts";
import { AUTO_CEILING, limitsOf, type SupabasePoolConfig } from "./config.ts";
import { MAX_PROBE_MS, type PoolHealth, toTestQuery, uncheckedHealth } from "./health.ts";
import { CredentialResolver, type Credentials, type Identity } from "./identity.ts";
import { kindOfKey, type PoolKind } from "./keys.ts";
import { Registry } from "./registry.ts";
import { CallerScope, type ScopeOptions, type ScopePool } from "./scope/caller_scope.ts";
import type { ClientLease, ClientLeaseOptions, ClientPool } from "./scope/client_lease.ts";

/** The dependencies of a {@linkcode SupabaseConnectionPool}; replaced in tests. */
export interface SupabasePoolRuntime extends PoolRuntime {
  /** The wall clock, in ms since the epoch, that tokens expire by. Default: `Date.now`. */
  readonly wallClock?: () => number;
}

/**
 * A pool of Supabase clients for one project and one key.
 *
 * A Supabase client is not a connection, and the pool keeps none. It leases
 * *slots*: the right to send calls at the same time as at most
 * `maxConnections - 1` other callers. Each lease comes with a *view*, a client
 * that carries its own caller's identity and dies with the lease. All views of a
 * pool are derived from one template. So the pool provides bounded concurrency,
 * isolation between callers, deadlines, and statistics.
 *
 * @example
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
  /** By the key: clients act as callers (`user`), or bypass row-level security (`admin`). */
  readonly kind: PoolKind;
  /** The circuit breakers of the project's parts: their states can be read, forced and seeded. */
  readonly circuits: PoolCircuits;
  /** Bounds the retries of all clients and services of the pool; `undefined` if it is off. */
  readonly retryBudget: RetryBudget | undefined;

  readonly #credentials: CredentialResolver;
  readonly #pool: ResourcePool<ClientSlot>;
  readonly #scopes: ScopePool;
  readonly #probe: CachedProbe<PoolHealth["details"]["testQuery"]>;
  /** Leases of `acquire`, by their view. Released ones stay, so that a second release differs from a foreign one. */
  readonly #acquired = new WeakMap<object, ClientLease<Database>>();
  readonly #circuitEvents = new CircuitEventHub();
  readonly #subscriptions = new Subscriptions<ClientPoolEvents>((name, listener) => this.#subscribe(name, listener));
  readonly #autoLimit: AutoLimit | undefined;

  private constructor(url: string, key: string, config: Readonly<SupabasePoolConfig>, runtime: SupabasePoolRuntime) {
    this.config = config;
    this.kind = kindOfKey(key);
    this.#credentials = new CredentialResolver(this.kind, key, config.userRoles, runtime.wallClock);
    const { requestTimeoutMs, fetch } = config;
    const clock = runtime.clock ?? systemClock;
    const deadlines = new Deadlines(clock);
    const breaker = optionsOf(config.circuitBreaker);
    const budget = optionsOf(config.retryBudget);
    const pool = this.#pool = new ResourcePool(clientSlots, coreOptions(config), runtime);
    this.#autoLimit = this.#createAutoLimit(clock, runtime.random ?? Math.random);
    const guards = (breaker || this.#autoLimit) && new TargetGuards({
      baseUrl: url,
      breaker: breaker && { ...breaker, clock },
      observer: this.#autoLimit,
      maxWaiting: config.maxWaiters,
      onBreaker: (created, target) => this.#circuitEvents.watch(created, target),
    });
    this.circuits = new PoolCircuits(guards);
    this.retryBudget = budget && new RetryBudget({ ...budget, clock });
    const settings: CallSettings = {
      baseUrl: url,
      deadlines,
      requestTimeoutMs,
      fetch,
      clock,
      guards,
      budget: this.retryBudget,
      events: this.#circuitEvents,
      reads: this.#createReads(url, clock, runtime.random ?? Math.random),
    };
    // Created at the first lease: a pool that is kept for later costs a cold isolate little.
    let template: ClientTemplate | undefined;
    this.#scopes = {
      config,
      slots: pool,
      clock,
      settings,
      get template() {
        return template ??= createTemplate(url, config);
      },
      getStats: () => this.getStats(),
      healthCheck: () => this.healthCheck(),
    };
    this.#probe = new CachedProbe({
      run: (signal) => this.#runProbe(signal),
      report: (result) => {
        this.#circuitEvents.emit("healthCheck", { healthy: result.error === undefined, ...result });
        return toTestQuery(result);
      },
      timeoutMs: Math.min(config.acquireTimeoutMs, requestTimeoutMs, MAX_PROBE_MS),
      clock,
    });
  }

  /**
   * Returns the pool for a project, key and client options (`schema`, `headers`,
   * `requestTimeoutMs`, `retryReads`, `fetch`). There is one for each; it is created when it is
   * first asked for, and again after a {@linkcode shutdown}.
   *
   * @param url The project's URL, e.g. `https://abc.supabase.co`.
   * @param key A publishable (or legacy anon) key for a user pool, a secret (or legacy service_role) key for an
   * admin pool.
   * @param config Without it, an existing pool is returned as it is; a new one gets the defaults.
   * @param runtime What a new pool depends on; for tests.
   * @throws {ConfigError} listing every bad value, and the options that differ from those of the existing pool.
   */
  static getInstance<Database = unknown>(
    url: string,
    key: string,
    config?: Partial<SupabasePoolConfig>,
    runtime: SupabasePoolRuntime = {},
  ): SupabaseConnectionPool<Database> {
    const address = checkAddress(url, key);
    return this.#registry.get(address, key, config, (parsed) => new this(address, key, parsed, runtime));
  }

  /**
   * Opens a scope for one caller: see {@linkcode CallerScope}. It takes no slot
   * until it is used; close it, `await using` does.
   *
   * @throws {IdentityError} when the pool cannot act for the identity, or `apiKey` is not of the pool's kind.
   * @example
   * ```ts
   * await using scope = pool.scope({ identity: { token }, signal: request.signal });
   * const { data } = await scope.client().from("budgets").select();
   * ```
   */
  scope(options: ScopeOptions = {}): CallerScope<Database> {
    const credentials = this.#credentials.credentialsFor(options.identity, options.apiKey, options.admitted);
    return new CallerScope<Database>(this.#scopes, credentials, options, this.#flowOf(options, options.identity));
  }

  /**
   * Leases a client, in a scope of its own. It must be released; `await using` does it.
   *
   * @throws {IdentityError} when the pool cannot act for the identity.
   * @throws {AcquireTimeoutError} when no slot became free in time.
   * @throws {QueueFullError} when `maxWaiters` wait already.
   * @throws {AcquireAbortedError} when `signal` aborted.
   * @throws {PoolClosedError} once `shutdown` was called.
   * @example
   * ```ts
   * await using lease = await pool.lease({ identity: { token } });
   * const { data } = await lease.client.from("budgets").select();
   * ```
   */
  async lease(options: ClientLeaseOptions = {}): Promise<ClientLease<Database>> {
    return await this.#lease(options, this.#credentials.credentialsFor(options.identity), options.identity);
  }

  /** Returns the balancer of reads; `undefined` without read replicas. */
  #createReads(baseUrl: string, clock: Clock, random: () => number): ReadBalancer | undefined {
    const { readReplicas: urls, requestTimeoutMs, fetch: send, circuitBreaker } = this.config;
    if (urls.length === 0) return undefined;
    const rules = optionsOf(circuitBreaker);
    const breaker = rules && { ...rules, clock };
    const onBreaker = (created: CircuitBreaker, target: string) => this.#circuitEvents.watch(created, target);
    const observer = this.#autoLimit;
    return new ReadBalancer({ baseUrl, urls, clock, random, requestTimeoutMs, send, breaker, observer, onBreaker });
  }

  /** Returns the flow of an acquire on behalf of `identity`, which has credentials; `undefined` without `fairShare`. */
  #flowOf({ flow }: Pick<ClientLeaseOptions, "flow">, identity: Identity | undefined): Flow | undefined {
    return this.config.fairShare ? flow ?? this.#credentials.flowOf(identity) : undefined;
  }

  async #lease(
    options: ClientLeaseOptions,
    credentials: Credentials,
    identity: Identity | undefined,
  ): Promise<ClientLease<Database>> {
    const flow = this.#flowOf(options, identity);
    const slot = await this.#pool.lease(flow === undefined ? options : { ...options, flow });
    // A shutdown may have revoked it since it was granted.
    if (!slot.active) throw new PoolClosedError();
    return new CallerScope<Database>(this.#scopes, credentials, NO_OPTIONS).adopt(slot, options);
  }

  /**
   * Leases a client without a lease object, to be released with {@linkcode release}.
   *
   * @throws the errors of {@linkcode lease}.
   * @example
   * ```ts
   * const client = await pool.acquire();
   * try {
   *   const { data } = await client.from("budgets").select();
   * } finally {
   *   pool.release(client);
   * }
   * ```
   */
  async acquire(options?: ClientLeaseOptions): Promise<SupabaseClient<Database>> {
    const lease = await this.lease(options);
    this.#acquired.set(lease.client, lease);
    return lease.client;
  }

  /**
   * Releases a client of {@linkcode acquire}.
   *
   * @throws {DoubleReleaseError} when it was released already.
   * @throws {ForeignReleaseError} when it was not acquired from this pool.
   * @throws {LateReleaseError} when the pool, shut down, had revoked it.
   */
  release(client: SupabaseClient<Database>, options?: ReleaseOptions): void {
    const lease = this.#acquired.get(client);
    if (!lease) throw new ForeignReleaseError();
    lease.release(options);
  }

  /**
   * Returns this pool for one caller: its leases act for `identity` and end with `signal`. Each lease has a slot of its
   * own; see {@linkcode scope} for leases that share one. A user's token that is valid now serves until 30 s after its
   * `exp`.
   */
  as(identity: Identity, { signal }: { signal?: AbortSignal | undefined } = {}): ClientPool<Database> {
    const admitted = this.#credentials.accepts(identity);
    return {
      config: this.config,
      signal,
      retryBudget: this.retryBudget,
      lease: async (options) => {
        const credentials = this.#credentials.credentialsFor(identity, undefined, admitted);
        return await this.#lease({ ...options, signal: anySignal(signal, options?.signal) }, credentials, identity);
      },
      getStats: () => this.getStats(),
      healthCheck: () => this.healthCheck(),
    };
  }

  /** Returns the pool's current statistics, as an immutable snapshot. */
  getStats(): PoolStats {
    return this.#pool.getStats();
  }

  /** The limits in force. */
  get limits(): PoolLimits {
    return this.#pool.limits;
  }

  /**
   * Changes the limits of a running pool; see `ResourcePool.resize`. Has no effect while pooling is switched off.
   *
   * @throws {ConfigError} listing every bad value; nothing is changed then.
   * @example
   * ```ts
   * pool.resize({ maxConnections: 50 });
   * ```
   */
  resize(limits: Partial<PoolLimits>): void {
    if (!this.config.enabled) return;
    this.#pool.resize(limits);
    if (this.#autoLimit) this.#autoLimit.max = maxOf(this.limits);
  }

  /**
   * Halves the number of slots that may be leased while memory is low, down to 1, and closes idle ones above the floor;
   * see `ResourcePool.setMemoryLow`.
   */
  setMemoryLow(isLow: boolean): void {
    this.#pool.setMemoryLow(isLow);
  }

  /**
   * Runs `healthQuery` on the probe slot, which is outside `maxConnections` and
   * in no statistic. One query runs at a time and its result is reused for one
   * second. With `healthChecks: false` it sends nothing, and a pool that is open is healthy. Never rejects.
   *
   * @example
   * ```ts
   * const { healthy, details } = await pool.healthCheck();
   * ```
   */
  async healthCheck(): Promise<PoolHealth> {
    if (!this.config.healthChecks) {
      return uncheckedHealth(this.getStats(), !this.#pool.closed, this.circuits.snapshot());
    }
    const testQuery = await this.#probe.check();
    const details = { stats: this.getStats(), testQuery, circuits: this.circuits.snapshot() };
    return { healthy: testQuery.success && !this.#pool.closed, details };
  }

  /**
   * Calls `listener` at each event of that name, until the subscription is disposed of or {@linkcode off} is called.
   * What a listener throws becomes an `error` event.
   *
   * @example
   * ```ts
   * using _waits = pool.on("timedOut", ({ waitedMs, lane }) => console.warn(`${lane}: ${waitedMs} ms`));
   * ```
   */
  on<K extends keyof ClientPoolEvents>(name: K, listener: (event: ClientPoolEvents[K]) => void): Disposable {
    return this.#subscriptions.on(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof ClientPoolEvents>(name: K, listener: (event: ClientPoolEvents[K]) => void): Disposable {
    return this.#subscriptions.once(name, listener);
  }

  /** Removes a listener; one that was added several times, once. Does nothing if it was not added. */
  off<K extends keyof ClientPoolEvents>(name: K, listener: (event: ClientPoolEvents[K]) => void): void {
    this.#subscriptions.off(name, listener);
  }

  /** Passes the wait and use times of leases to `recorder`, until the subscription is disposed of; see `PoolRecorder`. */
  record(recorder: PoolRecorder): Disposable {
    return this.#pool.record(recorder);
  }

  /**
   * Rejects new and waiting acquires before it returns, lets holders finish until the deadline, and then revokes their
   * leases and aborts their calls. Idempotent.
   *
   * @param deadlineMs How long holders may finish, in ms. Default: `shutdownTimeoutMs`.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    const ended = this.#pool.shutdown(deadlineMs);
    if (!this.#pool.closed) return ended; // the deadline is invalid, and nothing has changed
    this.#probe.stop(new PoolClosedError());
    SupabaseConnectionPool.#registry.delete(this);
    return ended;
  }

  #subscribe<K extends keyof ClientPoolEvents>(name: K, listener: Listener<ClientPoolEvents[K]>): Disposable {
    // Each emits the events of its own names only; both emit errors.
    const sources = [this.#pool, this.#circuitEvents] as unknown as readonly Pick<EventHub<ClientPoolEvents>, "on">[];
    const subscriptions = sources.map((source) => source.on(name, listener));
    return { [Symbol.dispose]: () => subscriptions.forEach((each) => each[Symbol.dispose]()) };
  }

  #createAutoLimit(clock: Clock, random: () => number): AutoLimit | undefined {
    const { enabled, maxConnections, adaptiveLimit } = this.config;
    if (!enabled || maxConnections !== "auto" || adaptiveLimit === "off") return undefined;
    const isDryRun = adaptiveLimit === "dry-run";
    const max = isDryRun ? AUTO_CEILING : maxOf(this.#pool.limits);
    return new AutoLimit(this.#pool, { clock, random, isDryRun, max });
  }

  async #runProbe(signal: AbortSignal): Promise<void> {
    await using lease = await this.lease({ lane: "probe", signal });
    // A query that ignores the signal must not keep the probe slot.
    const { error } = await abortable(Promise.resolve(this.config.healthQuery(lease.client)), signal);
    if (error) throw error;
  }
}

const NO_OPTIONS: ScopeOptions = Object.freeze({});

/** Returns the highest limit of the lanes that share the unreserved part. */
function maxOf({ maxConnections, reservedConnections }: PoolLimits): number {
  return Math.max(1, maxConnections - reservedConnections);
}

/** Returns the options of the core; the others concern calls. */
function coreOptions(config: Readonly<SupabasePoolConfig>): Partial<PoolConfig> {
  const { maxRetries: _1, requestTimeoutMs: _2, callsPerLease: _3, schema: _4, headers: _5, ...rest } = config;
  const { userRoles: _6, healthQuery: _7, fetch: _8, retryDelayMs: _9, retryReads: _10, ...others } = rest;
  const { circuitBreaker: _11, retryBudget: _12, adaptiveLimit: _13, ...further } = others;
  const { enabled, retries: _14, healthChecks: _15, readReplicas: _16, ...core } = further;
  return { ...core, ...(enabled ? limitsOf(config) : UNPOOLED) };
}

/** The limits of a pool that is switched off. */
const UNLIMITED: PoolLimits = Object.freeze({ maxConnections: Infinity, minConnections: 0, reservedConnections: 0 });

/** The options of the core without pooling: a slot for each lease, which nothing waits for and which is not kept. */
const UNPOOLED = Object.freeze({ ...UNLIMITED, maxUses: 1 });

/** Returns the URL without a slash at its end. The error shows neither it nor the key. */
function checkAddress(url: string, key: string): string {
  const issues = [];
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (
    !parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password || parsed.search || parsed.hash
  ) {
    issues.push({ path: "url", message: "must be the project URL, http(s)://host[:port], without credentials" });
  }
  if (typeof key !== "string" || !/^[\x21-\x7e]+$/.test(key)) {
    issues.push({ path: "key", message: "must be one of the project's API keys" });
  }
  if (!parsed || issues.length > 0) throw new ConfigError(issues, "Supabase pool");
  return `${parsed.origin}${parsed.pathname}`.replace(/(?<!\/)\/+$/, "");
}
