/**
 * Direct Postgres: a pool of physical connections.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Variables } from "../environment/mod.ts";
import {
  ConfigError,
  type ErrorSource,
  LeaseRevokedError,
  optionsOf,
  PoolClosedError,
  type PoolEvents,
  type PoolLimits,
  type PoolRecorder,
  type PoolRuntime,
} from "../pool/mod.ts";
import {
  type CircuitBreaker,
  type CircuitEvents,
  classifyFailure,
  type Clock,
  Deadlines,
  EventHub,
  RetryBudget,
  Subscriptions,
  systemClock,
  toError,
} from "../resilience/mod.ts";
import { type Caller, VerifiedCaller } from "./caller/caller.ts";
import { RoleSettingsCache } from "./caller/role_settings.ts";
import { parsePostgresConfig, poolOptions, type PostgresConfig, type PostgresOptions } from "./config/config.ts";
import { configOfUrl } from "./config/config_url.ts";
import { readPostgresEnvironment } from "./config/environment.ts";
import type { PostgresConnection } from "./connection/connection.ts";
import { ConnectionFactory } from "./connection/connection_factory.ts";
import { HealthMonitor } from "./connection/health_monitor.ts";
import { isAtConnectionLimit } from "./errors/pooler_error.ts";
import { ConnectionPool } from "./connection/connection_pool.ts";
import { PoolerDetector } from "./connection/pooler.ts";
import { TargetCircuit } from "./connection/target_circuit.ts";
import type { PostgresHealth, PostgresPool, PostgresStats, TransactionWork } from "./postgres_pool.ts";
import { type ExecuteOptions, retryTransient } from "./query/attempts.ts";
import { Executor, type ExecutorParts } from "./query/executor.ts";
import {
  captureList,
  type LeaseOptions,
  type ListedStatement,
  type QueryOptions,
  type TransactionOptions,
  type WorkOptions,
} from "./query/query_options.ts";
import { PipelineSharing } from "./query/shared_query.ts";
import type { RunnerSettings } from "./query/statement_runner.ts";
import type { BeginOptions } from "./transaction/transaction_options.ts";
import { TransactionCounters } from "./transaction/transaction_scope.ts";
import { captureValues } from "./wire/captured_values.ts";
import type { QueryResult, Row } from "./wire/query_result.ts";

/** The longest that a health check waits for its response, in ms. */
const HEALTH_TIMEOUT_MS = 5_000;

/** The longest time that the server has to cancel what runs at the deadline of a shutdown, in ms. */
const SHUTDOWN_GRACE_MS = 500;

/** The events of a manager, by name: its own, and those of its pool. A `resourceId` is the id of a connection. */
export interface ManagerEvents extends Omit<PoolEvents, "error"> {
  /** A health check has ended. */
  healthCheck: PostgresHealth;
  /** A health check has failed. */
  healthCheckFailed: Error;
  /** An error that no caller receives, or not in full: a connection broke, could not be created, or was closed. */
  error: {
    readonly error: Error;
    /** The source of the error; `settings` for a setting of a caller's role. */
    readonly source: ErrorSource | "settings";
    /** The connection that broke or was closed; `undefined` when it concerns none that was open. */
    readonly connectionId?: number | undefined;
  };
  /** The database answers again. */
  recovered: {
    /** The time for which it did not answer, in ms. */
    readonly downMs: number;
  };
  /** The circuit opened: acquires that no open connection can serve are rejected. */
  circuitOpened: CircuitEvents["opened"];
  /** An attempt to connect is under way while the circuit is open. */
  circuitHalfOpened: CircuitEvents["halfOpened"];
  /** The circuit closed: every acquire is admitted. */
  circuitClosed: CircuitEvents["closed"];
}

type OwnEvent = Exclude<keyof ManagerEvents, keyof Omit<PoolEvents, "error">>;

const OWN_EVENTS: ReadonlySet<string> = new Set<OwnEvent>([
  "healthCheck",
  "healthCheckFailed",
  "error",
  "recovered",
  "circuitOpened",
  "circuitHalfOpened",
  "circuitClosed",
]);

/** The manager of `getInstance`, and the options it was created with. */
interface Instance {
  readonly manager: PostgresConnectionManager;
  readonly options: Readonly<PostgresConfig>;
}

/** Returns whether two values of an option are the same: what holds functions is compared by identity. */
function isSame(one: unknown, other: unknown): boolean {
  const functions = (value: unknown) =>
    typeof value === "object" && value !== null &&
    Object.values(value).some((inner) => typeof inner === "object" && inner !== null);
  return functions(one) || functions(other) ? one === other : JSON.stringify(one) === JSON.stringify(other);
}

/**
 * A pool of connections to one Postgres, with one login role.
 *
 * `query`, `transaction` and `lease` run with the rights of the login role; those of {@linkcode as} run as a caller.
 *
 * @example A statement, a transaction, and the end
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * const { rows } = await manager.query("SELECT name FROM budgets WHERE id = $1", ["b1"]);
 * console.log(rows);
 * await manager.transaction(async (tx) => {
 *   await tx.query("UPDATE budgets SET name = $2 WHERE id = $1", ["b1", "Home"]);
 *   await tx.query("INSERT INTO changes (budget_id) VALUES ($1)", ["b1"]);
 * }, { isolationLevel: "serializable", retries: 5 });
 * await manager.shutdown();
 * ```
 */
export class PostgresConnectionManager implements PostgresPool, AsyncDisposable {
  /** The options in effect, without `password` and `ssl`. */
  readonly config: Readonly<Omit<PostgresConfig, "password" | "ssl">>;

  static #instance: Instance | undefined = undefined;

  readonly #pool: ConnectionPool;
  readonly #factory: ConnectionFactory;
  readonly #circuit: TargetCircuit | undefined;
  readonly #circuitEvents: readonly Disposable[];
  readonly #budget: RetryBudget | undefined;
  #ended: Promise<void> | undefined = undefined;
  readonly #hub = new EventHub<ManagerEvents>({
    listenerError: (error) => ({ error: toError(error), source: "listener" }),
  });
  readonly #health: HealthMonitor;
  readonly #healthTimeoutMs: number;
  readonly #deadlines: Deadlines;
  readonly #pooler: PoolerDetector;
  readonly #clock: Clock;
  readonly #parts: ExecutorParts;
  readonly #executor: Executor;
  readonly #transactions = new TransactionCounters();
  readonly #subscriptions = new Subscriptions<ManagerEvents>((name, call) =>
    // A listener of a pool's event is added to the pool: without one, the pool does not create events.
    OWN_EVENTS.has(name)
      ? this.#hub.on(name, call)
      : this.#pool.on(name as keyof PoolEvents, call as (event: PoolEvents[keyof PoolEvents]) => void)
  );

  /**
   * Creates a manager, which begins to create `minConnections` connections.
   *
   * @param config Options, or a URL such as `postgresql://user:password@host:5432/database?sslmode=require`.
   * @param runtime Clock and random numbers; for tests.
   * @throws {ConfigError} listing every bad option, without secrets.
   */
  constructor(config: PostgresOptions | string = {}, runtime: PoolRuntime = {}) {
    const options = parsePostgresConfig(typeof config === "string" ? configOfUrl(config) : config);
    const { password: _password, ssl: _ssl, ...shown } = options;
    this.config = Object.freeze(shown);
    this.#clock = runtime.clock ?? systemClock;
    this.#pooler = new PoolerDetector(options);
    this.#deadlines = new Deadlines(this.#clock, { keepTimer: true });
    const rules = optionsOf(options.circuitBreaker);
    const circuit = this.#circuit = rules && new TargetCircuit(options, rules, this.#clock, runtime.random);
    this.#circuitEvents = circuit ? this.#forwardCircuit(circuit.breaker) : [];
    const budget = optionsOf(options.retryBudget);
    this.#budget = budget && new RetryBudget({ ...budget, clock: this.#clock });
    const factory = this.#factory = new ConnectionFactory(options, this.#pooler, this.#clock, runtime.random, circuit);
    const { adaptiveLimit } = options;
    const pool = this.#pool = new ConnectionPool(factory, poolOptions(options), runtime, { circuit, adaptiveLimit });
    factory.onRefused = (error, startedAt) => pool.refused(error, startedAt);
    const runner: RunnerSettings = {
      clock: this.#clock,
      deadlines: this.#deadlines,
      cancelTimeoutMs: options.cancelTimeoutMs,
      requestCancel: (key) => factory.requestCancel(key),
    };
    this.#parts = {
      pool: this.#pool,
      sharing: new PipelineSharing(this.#pool, runner),
      runner,
      roleSettings: new RoleSettingsCache(
        this.#clock,
        (error) => this.#hub.emit("error", { error, source: "settings" }),
      ),
      host: {
        config: this.config,
        getStats: () => this.getStats(),
        healthCheck: () => this.healthCheck(),
        onTransactionEnd: (outcome, durationMs) => this.#transactions.add(outcome, durationMs),
      },
    };
    this.#executor = new Executor(this.#parts);
    this.#healthTimeoutMs = Math.min(HEALTH_TIMEOUT_MS, options.queryTimeoutMs, options.acquireTimeoutMs);
    this.#health = new HealthMonitor({
      query: (signal) => this.#probe(signal),
      getStats: () => this.#pool.getStats(),
      breaker: circuit?.breaker,
      hub: this.#hub,
      clock: this.#clock,
      timeoutMs: this.#healthTimeoutMs,
      intervalMs: options.healthChecks ? options.healthCheckIntervalMs : 0,
    });
    this.#forwardErrors();
  }

  /**
   * Creates a manager from the environment: `SUPABASE_DB_URL`, `DB_*`, `POSTGRES_*`.
   *
   * @param variables Environment variables by name. Default: those of this process.
   * @throws {ConfigError} listing every bad variable.
   */
  static fromEnv(variables?: Variables, runtime?: PoolRuntime): PostgresConnectionManager {
    return new PostgresConnectionManager(readPostgresEnvironment(variables).config, runtime);
  }

  /**
   * Returns the manager of this isolate. The first call creates it; after its shutdown, the next call does.
   *
   * @param config Options or a URL, as for the constructor. Default: those of the manager that exists, or of the
   * environment.
   * @param runtime Clock and random numbers; for tests.
   * @throws {ConfigError} listing every bad option, or every option that differs from those of the existing manager.
   *
   * @example One pool for all modules
   * ```ts
   * const manager = PostgresConnectionManager.getInstance({ host: "localhost", database: "postgres" });
   * console.log(manager === PostgresConnectionManager.getInstance()); // true
   * ```
   */
  static getInstance(config?: PostgresOptions | string, runtime?: PoolRuntime): PostgresConnectionManager {
    const existing = PostgresConnectionManager.#instance;
    if (existing && config === undefined) return existing.manager;
    const given = typeof config === "string" ? configOfUrl(config) : config;
    const options = parsePostgresConfig(given ?? readPostgresEnvironment().config);
    if (!existing) {
      const manager = new PostgresConnectionManager(options, runtime);
      PostgresConnectionManager.#instance = { manager, options };
      return manager;
    }
    const message = "differs from the existing manager: shut that manager down first, or omit the config";
    const issues = (Object.keys(options) as (keyof PostgresConfig)[])
      .filter((path) => !isSame(options[path], existing.options[path]))
      .map((path) => ({ path, message }));
    if (issues.length > 0) throw new ConfigError(issues, "Postgres configuration");
    return existing.manager;
  }

  /**
   * Runs one statement, in a transaction of its own.
   *
   * @param values The values of `$1`, `$2` and so on. Never put values into the text.
   * @throws {PostgresError} what the server reported.
   * @throws {QueryTimeoutError} when it took longer than `timeoutMs`; it was canceled.
   * @throws {ConnectionLostError} when the connection broke, so that the effect of the statement is unknown.
   * @throws {AcquireTimeoutError} when no connection became available in time.
   * @throws {CircuitOpenError} when the server is away, as {@linkcode circuit} has found.
   * @throws {PoolClosedError} after `shutdown` was called.
   *
   * @example Typed rows
   * ```ts
   * const manager = PostgresConnectionManager.fromEnv();
   * const { rows } = await manager.query<{ name: string }>("SELECT name FROM budgets WHERE id = $1", ["b1"]);
   * console.log(rows[0]?.name);
   * ```
   */
  query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>> {
    return this.#executor.query<R>(text, values, options);
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs a function in a transaction, or a list of statements in one transaction and one round trip.
   *
   * @throws what the function throws, after a rollback.
   * @throws {CommitOutcomeUnknownError} when COMMIT was not answered.
   * @throws {TransactionRolledBackError} when a statement failed and the function caught its error.
   * @throws {TransactionTimeoutError} after `timeoutMs`.
   * @throws what {@linkcode query} throws.
   *
   * @example A function, and a list
   * ```ts
   * const manager = PostgresConnectionManager.fromEnv();
   * const id = await manager.transaction(async (tx) => {
   *   const { rows } = await tx.query<{ id: string }>("INSERT INTO budgets DEFAULT VALUES RETURNING id");
   *   return rows[0]?.id;
   * });
   * await manager.transaction([
   *   { query: "DELETE FROM entries WHERE budget_id = $1", values: [id] },
   *   { query: "DELETE FROM budgets WHERE id = $1", values: [id] },
   * ]);
   * ```
   */
  transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options?: TransactionOptions,
  ): Promise<T | QueryResult[]> {
    return typeof work === "function"
      ? this.#executor.transaction(work, options)
      : this.#executor.transaction(work, options);
  }

  /**
   * Returns the pool as one caller uses it: every statement runs with the caller's role and claims, so that row-level
   * security applies as in the Data API. One statement, or one list, costs one round trip.
   *
   * @param caller `"anonymous"`, or the **verified** claims of a user's token.
   * @param work A signal that aborts everything the caller runs, and a callback for its waits.
   * @throws {CallerError} when the claims do not identify a user. Its methods throw it when the token has expired, for a
   * token that was valid when `as` was called 30 s later, and {@linkcode LoginRoleError} when the login role is too
   * strong to run as callers.
   *
   * @example A query with row-level security
   * ```ts
   * const manager = PostgresConnectionManager.fromEnv();
   * const claims = { sub: "8a3c...", role: "authenticated", exp: 1_900_000_000 };
   * const { rows } = await manager.as({ claims }).query("SELECT name FROM budgets");
   * console.log(rows);
   * ```
   */
  as(caller: Caller, work?: WorkOptions): PostgresPool {
    return new Executor(this.#parts, new VerifiedCaller(caller, work), work);
  }

  /**
   * Leases a connection. It must be released; `await using` does it.
   *
   * @throws {AcquireTimeoutError} when none became available in time.
   * @throws {CreateFailedError} when creating one failed permanently.
   * @throws {PoolClosedError} after `shutdown` was called.
   *
   * @example Several statements on one connection
   * ```ts
   * const manager = PostgresConnectionManager.fromEnv();
   * await using connection = await manager.lease();
   * await connection.query("CREATE TEMP TABLE picked AS SELECT id FROM budgets LIMIT 10");
   * await connection.query("SELECT * FROM picked");
   * ```
   */
  lease(options?: LeaseOptions): Promise<PostgresConnection> {
    return this.#executor.lease(options);
  }

  /** Leases a connection, under the name that `pg` gives it. `client.release()` releases it. */
  connect(options?: LeaseOptions): Promise<PostgresConnection> {
    return this.lease(options);
  }

  /**
   * Runs {@linkcode query}, and retries failures that certainly had no effect.
   *
   * @param maxRetries Default: `maxRetries` of the manager.
   * @param baseDelay The delay before the first retry, in ms; it doubles. Default: `retryDelayMs` of the manager.
   * @throws what the last attempt threw.
   */
  executeQueryWithRetry<R extends object = Row>(
    query: string,
    values: readonly unknown[] = [],
    maxRetries: number = this.config.maxRetries,
    baseDelay: number = this.config.retryDelayMs,
    options: ExecuteOptions = {},
  ): Promise<QueryResult<R>> {
    const captured = captureValues(values);
    return this.#retry(() => this.query<R>(query, captured, options), maxRetries, baseDelay, options);
  }

  /**
   * Runs {@linkcode transaction} with a list, and retries failures after which it was certainly not committed.
   *
   * @param maxRetries Default: `maxRetries` of the manager.
   * @param baseDelay The delay before the first retry, in ms; it doubles. Default: `retryDelayMs` of the manager.
   * @throws what the last attempt threw.
   */
  executeTransactionWithRetry(
    queries: readonly ListedStatement[],
    maxRetries: number = this.config.maxRetries,
    baseDelay: number = this.config.retryDelayMs,
    options: ExecuteOptions & BeginOptions = {},
  ): Promise<QueryResult[]> {
    const captured = captureList(queries);
    return this.#retry(() => this.transaction(captured, options), maxRetries, baseDelay, options);
  }

  /**
   * Runs a trivial query on a connection of its own, outside `maxConnections`, which is closed after it; where the server
   * accepts no further one, on a connection of the pool. The result is cached for a second. With `healthChecks: false` it
   * asks nothing, and a manager that is not shut down is healthy. Never rejects.
   */
  healthCheck(): Promise<PostgresHealth> {
    return this.config.healthChecks ? this.#health.check() : Promise.resolve(this.#health.unchecked());
  }

  /** Returns the current statistics, as an immutable snapshot. */
  getStats(): PostgresStats {
    const transactions = this.#transactions.snapshot();
    return Object.freeze({
      ...this.#pool.getStats(),
      transactions,
      poolMode: this.#pooler.mode,
      connectionLimit: this.#pool.limitStats,
      ...(this.#circuit && { circuit: this.#circuit.stats() }),
      ...(this.#budget && { retryBudget: this.#budget.getStats() }),
    });
  }

  /**
   * The circuit breaker of the server, which pools of this isolate share that connect to it in the same way; `undefined`
   * if `circuitBreaker` is off. An operator can read it (`snapshot`), `force` it, and `restore` the state that an earlier
   * isolate saved.
   */
  get circuit(): CircuitBreaker | undefined {
    return this.#circuit?.breaker;
  }

  /** The limits in effect. */
  get limits(): PoolLimits {
    return this.#pool.limits;
  }

  /**
   * Changes the limits; see `ResourcePool.resize`.
   *
   * @throws {ConfigError} listing every bad value; then nothing is changed.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#pool.resize(this.config.enabled ? limits : { ...limits, minConnections: 0 });
  }

  /**
   * While memory is low, halves the number of leases that may be out, down to 1, closes idle connections above the floor,
   * and drops what is known about statements: they are closed at the server with the next request of their connection.
   * A further call with `true` drops these again.
   */
  setMemoryLow(isLow: boolean): void {
    this.#pool.setMemoryLow(isLow);
    if (isLow) this.#factory.dropCaches();
  }

  /**
   * Calls `listener` at each event of that name, until the subscription is disposed or {@linkcode off} is called.
   * What a listener throws becomes an `error` event.
   */
  on<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#subscriptions.on(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#subscriptions.once(name, listener);
  }

  /** Removes a listener; one that was added several times, once. Does nothing if it was not added. */
  off<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): void {
    this.#subscriptions.off(name, listener);
  }

  /** Passes the wait and use times of leases to `recorder`, until the subscription is disposed; see `PoolRecorder`. */
  record(recorder: PoolRecorder): Disposable {
    return this.#pool.record(recorder);
  }

  /**
   * Shuts down: rejects new and waiting acquires before it returns, lets running work finish until the deadline, then
   * cancels it and closes its connections. What the server does not end within half a second (or `cancelTimeoutMs`, if
   * that is less) is rejected, and its connection destroyed. Idempotent.
   *
   * @param deadlineMs How long running work may take, in ms. Default: `shutdownTimeoutMs`, 5,000.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    const ended = this.#pool.shutdown(deadlineMs);
    if (!this.#pool.closed) return ended; // the deadline is invalid, and nothing has changed
    this.#health.stop(new PoolClosedError());
    this.#circuit?.close();
    for (const subscription of this.#circuitEvents) subscription[Symbol.dispose]();
    if (PostgresConnectionManager.#instance?.manager === this) PostgresConnectionManager.#instance = undefined;
    return this.#ended ??= ended.then(() => this.#endConnections());
  }

  /** Shuts down; see {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Ends what the pool no longer waits for: nothing may be pending after a shutdown, whatever the server does. */
  async #endConnections(): Promise<void> {
    await this.#factory.shutdown(Math.min(this.config.cancelTimeoutMs, SHUTDOWN_GRACE_MS), new LeaseRevokedError());
    // What was in flight rejects its callers first.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#deadlines.stop();
  }

  #retry<T>(once: () => Promise<T>, retries: number, delayMs: number, options: ExecuteOptions): Promise<T> {
    const { signal, idempotent = false, onRetry } = options;
    const allowed = this.config.retries ? retries : 0;
    const [budget, clock] = [this.#budget, this.#clock];
    return retryTransient(once, { retries: allowed, delayMs, signal, idempotent, budget, onRetry, clock });
  }

  /**
   * Queries the database on the probe slot: a pool whose connections are all leased is healthy. Where the server accepts
   * no further connection, one of the pool's own shows that it serves.
   */
  async #probe(signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#queryHealth({ lane: "probe", signal });
    } catch (error) {
      if (!isAtConnectionLimit(error) || this.#pool.getStats().totalConnections === 0) throw error;
      // The limit is the reason to report if that fails, too. The check itself must not have timed out by then.
      const acquireTimeoutMs = this.#healthTimeoutMs / 2;
      return await this.#queryHealth({ lane: "admin", signal, acquireTimeoutMs }).catch(() => Promise.reject(error));
    }
  }

  async #queryHealth(options: LeaseOptions): Promise<boolean> {
    await using connection = await this.lease(options);
    const text = "SELECT current_setting('transaction_read_only') = 'on' AS read_only";
    const { rows } = await connection.query(text, [], { timeoutMs: Infinity });
    return rows[0]?.["read_only"] === true;
  }

  #forwardCircuit(breaker: CircuitBreaker): Disposable[] {
    return [
      breaker.on("opened", (event) => this.#hub.emit("circuitOpened", event)),
      breaker.on("halfOpened", (event) => this.#hub.emit("circuitHalfOpened", event)),
      breaker.on("closed", (event) => this.#hub.emit("circuitClosed", event)),
    ];
  }

  #forwardErrors(): void {
    let latest: unknown;
    this.#pool.on("error", ({ error, source, resourceId: connectionId }) => {
      if (source === "create" && classifyFailure(error) !== "permanent" && !isAtConnectionLimit(error)) {
        this.#health.down();
      }
      // One attempt to connect fails for all who wait for it; one that a shutdown ends is not an error.
      if (source === "create" && (error === latest || error instanceof PoolClosedError)) return;
      latest = error;
      this.#hub.emit("error", { error: toError(error), source, connectionId });
    });
    this.#pool.on("created", () => this.#health.up());
  }
}
