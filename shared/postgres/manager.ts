/**
 * Direct Postgres: a pool of physical connections, and what to do with them.
 *
 * @module
 */
import { PoolClosedError, type PoolLimits, type PoolRuntime, type PoolStats, ResourcePool } from "../pool/mod.ts";
import { classifyFailure, type Clock, systemClock } from "../resilience/mod.ts";
import { type ExecuteOptions, retryTransient } from "./query/attempts.ts";
import { ActingCaller, type Caller } from "./caller/caller.ts";
import { requestCancel } from "./connection/cancel.ts";
import { configOfUrl } from "./config/config_url.ts";
import { parsePostgresConfig, poolOptions, type PostgresConfig } from "./config/config.ts";
import { ConnectGate } from "./connection/connect_gate.ts";
import { PostgresConnection } from "./connection/connection.ts";
import { Deadlines } from "./query/deadlines.ts";
import type { Variables } from "../environment/mod.ts";
import { readPostgresEnvironment } from "./config/environment.ts";
import { type ManagerEvents, ManagerHub, type PostgresHealth } from "./events.ts";
import { Executor, type PostgresQueries, type TransactionWork } from "./query/executor.ts";
import type { ListedStatement, QueryOptions, TransactionOptions, WorkOptions } from "./query/query_options.ts";
import { HealthMonitor } from "./connection/health_monitor.ts";
import { PoolerDetector } from "./connection/pooler.ts";
import type { QueryResult, Row } from "./wire/query_result.ts";
import { driverOptions, SessionFactory } from "./connection/session_factory.ts";
import type { Session } from "./connection/session.ts";
import { leaseSession } from "./connection/session_lease.ts";
import { Sharing } from "./query/sharing.ts";
import type { RunnerSettings } from "./query/statement_runner.ts";
import type { BeginOptions } from "./transaction/transaction_options.ts";
import { TransactionFigures, type TransactionStats } from "./transaction/transaction_figures.ts";

/** How long a health check waits for an answer, in ms. */
const HEALTH_TIMEOUT_MS = 5_000;

/** How a manager stands. */
export interface PostgresStats extends PoolStats {
  /** How its transactions ended, and how long they took. */
  readonly transactions: TransactionStats;
  /** What stands between it and Postgres; `undefined` until that was found out. */
  readonly poolMode: "session" | "transaction" | undefined;
}

/**
 * Connections to one Postgres, as one role.
 *
 * ```ts
 * const manager = new PostgresConnectionManager({ host, database, user, password });
 * const { rows } = await manager.query("SELECT name FROM budgets WHERE id = $1", [id]);
 * await manager.transaction(async (tx) => {
 *   await tx.query("UPDATE …");
 *   await tx.query("INSERT …");
 * }, { isolationLevel: "serializable", retries: 5 });
 * await manager.shutdown();
 * ```
 *
 * `query` and `transaction` act with the rights of the login role; {@linkcode as} acts for a caller.
 */
export class PostgresConnectionManager implements PostgresQueries, AsyncDisposable {
  /** The options in force; the password is not among them. */
  readonly config: Readonly<Omit<PostgresConfig, "password" | "ssl">>;

  readonly #pool: ResourcePool<Session>;
  readonly #hub = new ManagerHub();
  readonly #health: HealthMonitor;
  readonly #deadlines: Deadlines;
  readonly #pooler: PoolerDetector;
  readonly #clock: Clock;
  readonly #runner: RunnerSettings;
  readonly #executor: Executor;
  readonly #figures = new TransactionFigures();
  readonly #makeExecutor: (caller?: ActingCaller, work?: WorkOptions) => Executor;

  /**
   * Begins to make `minConnections` connections.
   *
   * @param config Options, or a URL such as `postgresql://user:password@host:5432/database?sslmode=require`.
   * @param runtime What it runs on; for tests.
   * @throws {ConfigError} listing every bad option. No secret is shown.
   */
  constructor(config: Partial<PostgresConfig> | string = {}, runtime: PoolRuntime = {}) {
    const options = parsePostgresConfig(typeof config === "string" ? configOfUrl(config) : config);
    const { password: _password, ssl: _ssl, ...shown } = options;
    this.config = Object.freeze(shown);
    this.#clock = runtime.clock ?? systemClock;
    this.#pooler = new PoolerDetector(options);
    this.#deadlines = new Deadlines(this.#clock);
    const driver = driverOptions(options);
    this.#runner = {
      clock: this.#clock,
      deadlines: this.#deadlines,
      cancelTimeoutMs: options.cancelTimeoutMs,
      requestCancel: (backend) => requestCancel(driver, backend),
    };
    const gate = new ConnectGate(this.#clock, runtime.random);
    this.#pool = new ResourcePool(
      new SessionFactory(options, gate, this.#pooler, this.#clock),
      poolOptions(options),
      runtime,
    );
    const owner = {
      ended: this.#figures.add.bind(this.#figures),
      report: (error: Error) => this.#hub.emit("error", error),
      nowEpochMs: Date.now,
    };
    const { queryTimeoutMs, trustedLogin } = options;
    const sharing = new Sharing(this.#pool);
    const parts = { pool: this.#pool, sharing, runner: this.#runner, queryTimeoutMs, trustedLogin, owner };
    this.#makeExecutor = (caller, work) => new Executor(parts, caller, work);
    this.#executor = this.#makeExecutor();
    const subject = { ask: () => this.#ask(), getStats: () => this.#pool.getStats() };
    this.#health = new HealthMonitor(subject, this.#hub, this.#clock, options.healthCheckIntervalMs);
    this.#watch();
  }

  /**
   * A manager as the environment describes it: `SUPABASE_DB_URL`, `DB_*`, `POSTGRES_*`.
   *
   * @param variables Default: the variables of this process.
   * @throws {ConfigError} listing every bad variable.
   */
  static fromEnv(variables?: Variables, runtime?: PoolRuntime): PostgresConnectionManager {
    return new PostgresConnectionManager(readPostgresEnvironment(variables).config, runtime);
  }

  /**
   * Runs one statement, in a transaction of its own.
   *
   * @param values What `$1`, `$2`, … stand for. Values never belong into the text.
   * @throws {PostgresError} what the server reported.
   * @throws {QueryTimeoutError} when it took too long; it was cancelled.
   * @throws {ConnectionLostError} when the connection broke: whether it took effect is unknown.
   * @throws {AcquireTimeoutError} when no connection came free in time.
   * @throws {PoolClosedError} once `shutdown` was called.
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
   * Runs a function in a transaction, or statements that stand or fall together in one round trip.
   *
   * @throws what the function throws; everything is rolled back then.
   * @throws {CommitOutcomeUnknownError} when COMMIT was not answered.
   * @throws {TransactionRolledBackError} when a statement had failed and its error was not passed on.
   * @throws {TransactionTimeoutError} after `timeoutMs`.
   * @throws what {@linkcode query} throws.
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
   * Queries and transactions of one caller: their role and claims hold, so that
   * row-level security judges as it does in the Data API. One statement, or one list, costs one round trip.
   *
   * @param caller `anonymous`, or the **verified** claims of a user's token.
   * @param work What holds for all of them: a signal that gives them up, who is told of their waits.
   * @throws {CallerError} when the claims are not those of a user, and, from its methods, once they have expired.
   * Its methods throw {@linkcode LoginRoleError} where the login role is stronger than a caller's should be.
   */
  as(caller: Caller, work?: WorkOptions): PostgresQueries {
    return this.#makeExecutor(new ActingCaller(caller), work);
  }

  /**
   * Leases a connection. It must be released; `await using` does it.
   *
   * @throws {AcquireTimeoutError} when none came free in time.
   * @throws {CreateFailedError} when none could be made, for good.
   * @throws {PoolClosedError} once `shutdown` was called.
   */
  async lease(options: QueryOptions = {}): Promise<PostgresConnection> {
    const lease = await leaseSession(this.#pool, options, this.#clock);
    return new PostgresConnection(lease, this.#executor, this.#runner, this.config.queryTimeoutMs);
  }

  /** {@linkcode lease}, under the name that `pg` gives it: `client.release()` gives it back. */
  connect(options?: QueryOptions): Promise<PostgresConnection> {
    return this.lease(options);
  }

  /**
   * {@linkcode query}, tried again where it certainly took no effect.
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
    return this.#retry(() => this.query<R>(query, values, options), maxRetries, baseDelay, options);
  }

  /**
   * {@linkcode transaction} of a list, tried again where it was certainly not committed.
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
    return this.#retry(() => this.transaction(queries, options), maxRetries, baseDelay, options);
  }

  /** Asks the database something trivial, ahead of all others. An answer is kept for a second. Never rejects. */
  healthCheck(): Promise<PostgresHealth> {
    return this.#health.check();
  }

  /** How it stands, as an immutable snapshot. */
  getStats(): PostgresStats {
    const transactions = this.#figures.snapshot();
    return Object.freeze({ ...this.#pool.getStats(), transactions, poolMode: this.#pooler.mode });
  }

  /** How many connections there may be, and for whom. */
  get limits(): PoolLimits {
    return this.#pool.limits;
  }

  /**
   * Changes how many connections there may be; see `ResourcePool.resize`.
   *
   * @throws {ConfigError} listing every bad value; nothing is changed then.
   */
  resize(limits: Partial<PoolLimits>): void {
    this.#pool.resize(limits);
  }

  /** Calls `listener` at each event of that name until the subscription is disposed of. */
  on<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#hub.on(name, listener);
  }

  /**
   * Lends nothing any more, refuses those who wait, lets running work finish
   * until the deadline and then cancels it and closes its connections. The first part is done before this returns.
   * Idempotent.
   *
   * @param deadlineMs Default: `shutdownTimeoutMs`, 5,000.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    this.#health.stop();
    return this.#pool.shutdown(deadlineMs).finally(() => this.#deadlines.stop());
  }

  /** {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #retry<T>(once: () => Promise<T>, retries: number, delayMs: number, options: ExecuteOptions): Promise<T> {
    const { signal, idempotent = false, onRetry } = options;
    return retryTransient(once, { retries, delayMs, signal, idempotent, onRetry, clock: this.#clock });
  }

  async #ask(): Promise<void> {
    const timeoutMs = Math.min(HEALTH_TIMEOUT_MS, this.config.queryTimeoutMs);
    const acquireTimeoutMs = Math.min(HEALTH_TIMEOUT_MS, this.config.acquireTimeoutMs);
    await this.query("SELECT 1", [], { lane: "admin", timeoutMs, acquireTimeoutMs });
  }

  #watch(): void {
    let told: unknown;
    this.#pool.on("error", ({ error, source }) => {
      if (source === "create" && classifyFailure(error) !== "permanent") this.#health.down();
      // One attempt to connect fails for all who wait for it; a shutdown that ends one is no trouble.
      if (source === "create" && (error === told || error instanceof PoolClosedError)) return;
      told = error;
      this.#hub.emit("error", error instanceof Error ? error : new Error(String(error)));
    });
    this.#pool.on("created", () => this.#health.up());
  }
}
