/**
 * Direct Postgres: a pool of physical connections.
 *
 * @module
 */
import type { Variables } from "../environment/mod.ts";
import { ConfigError, type PoolLimits, type PoolRecorder, type PoolRuntime } from "../pool/mod.ts";
import type { CircuitBreaker, RetryBudget } from "../resilience/mod.ts";
import { type Caller, VerifiedCaller } from "./caller/caller.ts";
import { RoleSettingsCache } from "./caller/role_settings.ts";
import { parsePostgresConfig } from "./config/config.ts";
import type { PostgresConfig, PostgresOptions } from "./config/options.ts";
import { configOfUrl } from "./config/config_url.ts";
import { differingOptions } from "./config/differing_options.ts";
import { readPostgresEnvironment } from "./config/environment.ts";
import type { PostgresConnection } from "./connection/connection.ts";
import type { ManagerEvents } from "./manager_events.ts";
import { ManagerParts } from "./manager_parts.ts";
import { Observation } from "./observation.ts";
import type { PostgresHealth, PostgresPool, PostgresStats, TransactionWork } from "./postgres_pool.ts";
import type { ExecuteOptions } from "./query/attempts.ts";
import { Executor, type ExecutorParts } from "./query/executor.ts";
import {
  captureList,
  type LeaseOptions,
  type ListedStatement,
  type QueryOptions,
  type TransactionOptions,
  type WorkOptions,
} from "./query/query_options.ts";
import type { SqlTag } from "./query/sql.ts";
import { type StatementObserver, StatementObservers } from "./query/statement_observer.ts";
import { PipelineSharing } from "./query/shared_query.ts";
import { nextPool } from "./transaction/current_transaction.ts";
import type { Transaction } from "./transaction/transaction.ts";
import type { BeginOptions } from "./transaction/transaction_options.ts";
import { captureValues } from "./wire/captured_values.ts";
import type { QueryResult, Row } from "./wire/query_result.ts";

/** The manager of `getInstance`, and the options it was created with. */
interface Instance {
  readonly manager: PostgresConnectionManager;
  readonly options: Readonly<PostgresConfig>;
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

  readonly #parts: ManagerParts;
  readonly #observation: Observation;
  readonly #executor: Executor;
  readonly #executorParts: ExecutorParts;
  #ended: Promise<void> | undefined = undefined;

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
    const parts = this.#parts = new ManagerParts(options, runtime);
    const { pool, runner, transactions } = parts;
    const observation = this.#observation = new Observation(
      parts,
      (lease) => this.lease({ ...lease, outsideTransaction: true }),
    );
    parts.onServerState((state) => observation.serverState(state));
    this.#executorParts = {
      pool,
      poolNumber: nextPool(),
      sharing: new PipelineSharing(pool, runner),
      runner,
      observers: new StatementObservers(),
      roleSettings: new RoleSettingsCache(runner.clock, (error) => observation.settingFailed(error)),
      host: {
        config: this.config,
        retryBudget: parts.budget,
        getStats: () => parts.getStats(),
        healthCheck: () => observation.healthCheck(),
        onTransactionEnd: (outcome, durationMs) => transactions.add(outcome, durationMs),
      },
    };
    this.#executor = new Executor(this.#executorParts);
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
    const issues = differingOptions(options, existing.options);
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
   * @throws {OutsideTransactionError} inside the function of {@linkcode transaction}: use the transaction there.
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

  /**
   * Creates statements as templates, whose values are parameters by construction. They run when they are awaited.
   *
   * @example A value, and the first row
   * ```ts
   * const manager = PostgresConnectionManager.fromEnv();
   * const row = await manager.sql<{ name: string }>`SELECT name FROM budgets WHERE id = ${"b1"}`.first();
   * console.log(row?.name);
   * ```
   */
  get sql(): SqlTag {
    return this.#executor.sql;
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
   * @throws {OutsideTransactionError} inside the function of another transaction of the login role: use the nested
   * `tx.transaction` there. The same holds for {@linkcode query} and {@linkcode lease}.
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
   * Returns whether a statement is known to only read: by its text, and by the volatility of every function that it calls
   * (`pg_proc`), also by views, operators, aggregates and policies. While that is not known it returns false. The server is
   * asked in the background, about texts that come again.
   *
   * @throws {StatementError} when `text` is not a string, or holds a NUL character.
   */
  onlyReads(text: string): boolean {
    return this.#executorParts.sharing.onlyReads(text);
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
    return new Executor(this.#executorParts, new VerifiedCaller(caller, work), work);
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

  /**
   * Returns the open transaction of the login role in whose function the running code is, the innermost one; `undefined`
   * outside of any.
   *
   * @throws {TransactionEndedError} when the code was started in the function of a transaction that has ended.
   */
  currentTransaction(): Transaction | undefined {
    return this.#executor.currentTransaction();
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
    return this.#parts.retry(() => this.query<R>(query, captured, options), maxRetries, baseDelay, options);
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
    return this.#parts.retry(() => this.transaction(captured, options), maxRetries, baseDelay, options);
  }

  /**
   * Runs a trivial query on a connection of its own, outside `maxConnections`, which is closed after it; where the server
   * accepts no further one, on a connection of the pool. The result is cached for a second. With `healthChecks: false` it
   * asks nothing, and a manager that is not shut down is healthy. Never rejects.
   */
  healthCheck(): Promise<PostgresHealth> {
    return this.#observation.healthCheck();
  }

  /** Returns the current statistics, as an immutable snapshot. */
  getStats(): PostgresStats {
    return this.#parts.getStats();
  }

  /** The connections that exist, under the name that `pg` gives them. */
  get totalCount(): number {
    return this.getStats().totalConnections;
  }

  /** The connections that are not leased, under the name that `pg` gives them. */
  get idleCount(): number {
    return this.getStats().idleConnections;
  }

  /** The acquires that wait for a connection, under the name that `pg` gives them. */
  get waitingCount(): number {
    return this.getStats().waitingForConnection;
  }

  /**
   * The circuit breaker of the server, which pools of this isolate share that connect to it in the same way; `undefined`
   * if `circuitBreaker` is off. An operator can read it (`snapshot`), `force` it, and `restore` the state that an earlier
   * isolate saved.
   */
  get circuit(): CircuitBreaker | undefined {
    return this.#parts.circuit?.breaker;
  }

  /** The limits in effect. */
  get limits(): PoolLimits {
    return this.#parts.pool.limits;
  }

  /** Bounds the retries of all that share the manager; `undefined` if `retryBudget` is off. */
  get retryBudget(): RetryBudget | undefined {
    return this.#parts.budget;
  }

  /**
   * Changes the limits; see `ResourcePool.resize`.
   *
   * @throws {ConfigError} listing every bad value; then nothing is changed.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#parts.pool.resize(this.config.enabled ? limits : { ...limits, minConnections: 0 });
  }

  /**
   * While memory is low, halves the number of leases that may be out, down to 1, closes idle connections above the floor,
   * and drops what is known about statements: they are closed at the server with the next request of their connection.
   * A further call with `true` drops these again.
   */
  setMemoryLow(isLow: boolean): void {
    this.#parts.setMemoryLow(isLow);
  }

  /**
   * Calls `listener` at each event of that name, until the subscription is disposed or {@linkcode off} is called.
   * What a listener throws becomes an `error` event.
   */
  on<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#observation.on(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#observation.once(name, listener);
  }

  /** Removes a listener; one that was added several times, once. Does nothing if it was not added. */
  off<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): void {
    this.#observation.off(name, listener);
  }

  /** Passes the wait and use times of leases to `recorder`, until the subscription is disposed; see `PoolRecorder`. */
  record(recorder: PoolRecorder): Disposable {
    return this.#parts.pool.record(recorder);
  }

  /**
   * Passes each statement and transaction to `observer`, also those of callers, until the subscription is disposed: for
   * spans, for example. Without an observer nothing is measured.
   */
  observeStatements(observer: StatementObserver): Disposable {
    return this.#executorParts.observers.add(observer);
  }

  /**
   * Shuts down: rejects new and waiting acquires before it returns, lets running work finish until the deadline, then
   * cancels it and closes its connections. What the server does not end within half a second (or `cancelTimeoutMs`, if
   * that is less) is rejected, and its connection destroyed. Idempotent.
   *
   * @param deadlineMs How long running work may take, in ms. Default: `shutdownTimeoutMs`, 5,000.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    const { pool, circuit } = this.#parts;
    const ended = pool.shutdown(deadlineMs);
    if (!pool.closed) return ended; // the deadline is invalid, and nothing has changed
    this.#observation.stop();
    circuit?.close();
    if (PostgresConnectionManager.#instance?.manager === this) PostgresConnectionManager.#instance = undefined;
    return this.#ended ??= ended.then(() => this.#parts.end());
  }

  /** Shuts down; see {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
