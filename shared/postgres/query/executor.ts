/**
 * Queries and transactions on a pool of connections, as the login role or as a caller.
 *
 * @module
 */
import type { Lease, ResourcePool } from "../../pool/mod.ts";
import { anySignal, type RetryBudget } from "../../resilience/mod.ts";
import type { VerifiedCaller } from "../caller/caller.ts";
import { checkLoginRole } from "../caller/login_role.ts";
import type { RoleSettingsCache } from "../caller/role_settings.ts";
import type { BackendConnection } from "../connection/backend_connection.ts";
import { createConnection, type PostgresConnection } from "../connection/connection.ts";
import { leaseConnection, throwReason, toRevocationError } from "../connection/lease_connection.ts";
import { walPositionBehind } from "../connection/session.ts";
import { TransactionOpenError } from "../errors/transaction_error.ts";
import type { PostgresHealth, PostgresPool, PostgresStats, TransactionWork } from "../postgres_pool.ts";
import { type PipelinedOutcome, runPipelinedTransaction } from "../transaction/pipelined.ts";
import {
  checkOutside,
  findTransaction,
  isInTransaction,
  type TransactionOwner,
} from "../transaction/current_transaction.ts";
import { runTransaction, type Transaction } from "../transaction/transaction.ts";
import { type BeginOptions, beginStatements } from "../transaction/transaction_options.ts";
import { type TransactionOutcome, TransactionScope } from "../transaction/transaction_scope.ts";
import type { QueryResult, Row, Statement } from "../wire/query_result.ts";
import { outlivesTransactionError, traitsOf, transactionControlError } from "../wire/statement_traits.ts";
import { noteRolledBack, retryTransaction } from "./attempts.ts";
import {
  type LeaseOptions,
  type ListedStatement,
  parseStatementList,
  type QueryOptions,
  statementOf,
  timeoutOf,
  type TransactionOptions,
  type WorkOptions,
} from "./query_options.ts";
import type { PipelineSharing } from "./shared_query.ts";
import { observeLeased, observeLeasing, type StatementObservers } from "./statement_observer.ts";
import { createSql, type SqlTag } from "./sql.ts";
import { type Bounds, type RunnerSettings, StatementRunner } from "./statement_runner.ts";

/** The manager, as an executor uses it. */
export interface ExecutorHost extends Pick<PostgresPool, "config" | "retryBudget" | "getStats" | "healthCheck"> {
  /** Counts a transaction that has ended. */
  onTransactionEnd(outcome: TransactionOutcome, durationMs: number): void;
}

/** The dependencies of an executor. */
export interface ExecutorParts {
  readonly pool: ResourcePool<BackendConnection>;
  /** Identifies the pool in marks of the async context; see `nextPool`. */
  readonly poolNumber: number;
  readonly sharing: PipelineSharing;
  readonly runner: RunnerSettings;
  readonly roleSettings: RoleSettingsCache;
  readonly host: ExecutorHost;
  /** The observers of statements. */
  readonly observers: StatementObservers;
}

/** Options of one attempt at a transaction. */
interface AttemptOptions extends TransactionOptions {
  /** `timeoutMs` before earlier attempts used some of it, in ms. */
  readonly allowedMs?: number | undefined;
  /** Called with the outcome. */
  readonly onEnd?: (outcome: TransactionOutcome) => void;
}

/** The identity of what does not run as a caller. */
const LOGIN_ROLE = "login role";

/** Returns the texts of a list. What is not a list is rejected when it is run. */
function textsOf(list: readonly ListedStatement[]): string[] {
  return Array.isArray(list) ? list.map((entry) => String(entry?.query)) : [];
}

/** Runs queries and transactions, each on a connection of its own. */
export class Executor implements PostgresPool {
  readonly #parts: ExecutorParts;
  readonly #caller: VerifiedCaller | undefined;
  readonly #work: WorkOptions;
  #owner: TransactionOwner | undefined = undefined;
  #sql: SqlTag | undefined = undefined;

  /**
   * @param caller The caller to run as. Default: the login role.
   * @param work Options of everything that runs on it.
   */
  constructor(parts: ExecutorParts, caller: VerifiedCaller | undefined = undefined, work: WorkOptions = {}) {
    this.#parts = parts;
    this.#caller = caller;
    this.#work = work;
  }

  get config(): PostgresPool["config"] {
    return this.#parts.host.config;
  }

  get signal(): AbortSignal | undefined {
    return this.#work.signal;
  }

  get retryBudget(): RetryBudget | undefined {
    return this.#parts.host.retryBudget;
  }

  get sql(): SqlTag {
    return this.#sql ??= createSql((text, values, options) => this.query(text, values, options));
  }

  query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    const { observers: { current }, runner: { clock } } = this.#parts;
    if (!current) return this.#query(text, values, options);
    const work = { kind: "statement", texts: [text] } as const;
    return observeLeasing(current, clock, work, options, (observed) => this.#query(text, values, observed));
  }

  async #query<R extends object = Row>(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult<R>> {
    this.#checkOutside(options);
    const statement = statementOf(text, values, options);
    if (this.#caller) {
      using _work = this.#work.owner?.begin();
      const combined = this.#withWork(options);
      const [result] = await this.#pipelined([statement], {}, this.#boundsOf(combined), combined);
      return result as QueryResult<R>;
    }
    return await this.#parts.sharing.query(statement, this.#boundsOf(options), options) as QueryResult<R>;
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions = {},
  ): Promise<T | QueryResult[]> {
    const { observers: { current }, runner: { clock } } = this.#parts;
    if (!current) return this.#retried(work, options);
    const shown = typeof work === "function"
      ? { kind: "transaction", texts: [] } as const
      : { kind: "list", texts: textsOf(work) } as const;
    return observeLeasing(current, clock, shown, options, (observed) => this.#retried(work, observed));
  }

  async #retried<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions,
  ): Promise<T | QueryResult[]> {
    this.#checkOutside(options);
    using _work = this.#work.owner?.begin();
    const combined = this.#withWork(options);
    const { signal } = combined;
    const retries = this.config.retries ? combined.retries ?? 0 : 0;
    const { clock } = this.#parts.runner;
    const timeoutMs = timeoutOf(combined.timeoutMs, Infinity);
    const until = retries === 0 ? Infinity : clock.now() + timeoutMs;
    // Retries send the same values again.
    const list = typeof work === "function" ? undefined : parseStatementList(work);
    let outcome: TransactionOutcome = "rolledBack";
    const onEnd = (ended: TransactionOutcome) => outcome = ended;
    const once = () => {
      const leftMs = until === Infinity ? combined.timeoutMs : Math.max(until - clock.now(), 1);
      const attempt = { ...combined, timeoutMs: leftMs, allowedMs: combined.timeoutMs, onEnd };
      return typeof work === "function" ? this.#transaction(work, attempt) : this.#list(list ?? [], attempt);
    };
    const undone = () => outcome === "rolledBack";
    return await retryTransaction<T | QueryResult[]>(once, { retries, signal, clock, until, undone });
  }

  async lease(options: LeaseOptions = {}): Promise<PostgresConnection> {
    this.#checkOutside(options);
    const { owner } = this.#work;
    using _work = owner?.begin();
    const combined = this.#withWork(options);
    const lease = await this.#lease(combined);
    owner?.leased(lease);
    if (!options.signal) return createConnection(lease, this);
    const work = { ...this.#work, signal: combined.signal };
    return createConnection(lease, new Executor(this.#parts, this.#caller, work));
  }

  currentTransaction(): Transaction | undefined {
    return isInTransaction() ? findTransaction(this.#ownerOf()) : undefined;
  }

  getStats(): PostgresStats {
    return this.#parts.host.getStats();
  }

  healthCheck(): Promise<PostgresHealth> {
    return this.#parts.host.healthCheck();
  }

  /**
   * Runs one statement on a leased connection. As a caller it is a transaction of its own.
   *
   * @throws {TransactionOpenError} while a transaction of the library is open on the connection.
   */
  queryOn(connection: BackendConnection, statement: Statement, options: QueryOptions): Promise<QueryResult> {
    const { observers: { current }, runner: { clock } } = this.#parts;
    if (!current) return this.#queryOn(connection, statement, options);
    const work = { kind: "statement", texts: [statement.text] } as const;
    return observeLeased(current, clock, work, () => this.#queryOn(connection, statement, options));
  }

  async #queryOn(connection: BackendConnection, statement: Statement, options: QueryOptions): Promise<QueryResult> {
    const { runner: settings } = this.#parts;
    const bounds = this.#boundsOf(this.#withWork(options));
    const traits = traitsOf(statement.text);
    if (connection.inTransaction) throw new TransactionOpenError();
    if (this.#caller) {
      if (traits.controlsTransaction) throw transactionControlError();
      const runner = new StatementRunner(connection, settings, this.#work.upstream);
      const [result] = await this.#pipelinedOn(runner, [statement], {}, bounds);
      return result as QueryResult;
    }
    if (traits.outlivesTransaction && !connection.ownsSession) throw outlivesTransactionError();
    for (;;) {
      bounds.signal?.throwIfAborted();
      const pending = connection.startAsLoginRole(statement, traits.mayLeaveState);
      try {
        const [result] = await new StatementRunner(connection, settings, this.#work.upstream).awaitResult(
          pending,
          bounds,
        );
        return result as QueryResult;
      } catch (error) {
        if (!pending.isSafeToResend(error) || connection.status !== "idle") throw error;
      }
    }
  }

  /**
   * Runs a function in a transaction on a leased connection.
   *
   * @throws {TransactionOpenError} while another one is open on it.
   */
  transactionOn<T>(
    connection: BackendConnection,
    work: TransactionWork<T>,
    options: TransactionOptions,
  ): Promise<T> {
    const { observers: { current }, runner: { clock } } = this.#parts;
    const run = () => this.#transactionOn(connection, work, this.#withWork(options));
    return current ? observeLeased(current, clock, { kind: "transaction", texts: [] }, run) : run();
  }

  async #transactionOn<T>(
    connection: BackendConnection,
    work: TransactionWork<T>,
    options: AttemptOptions,
  ): Promise<T> {
    const { runner: settings, host } = this.#parts;
    const { queryTimeoutMs } = host.config;
    const { signal } = options;
    const timeoutMs = timeoutOf(options.timeoutMs, Infinity);
    signal?.throwIfAborted();
    using _open = connection.enterTransaction();
    const started = settings.clock.now();
    const runner = new StatementRunner(connection, settings, this.#work.upstream);
    try {
      const begin = await this.#begin(runner, options, { signal, timeoutMs: Math.min(timeoutMs, queryTimeoutMs) });
      const { allowedMs = timeoutMs } = options;
      const owner = this.#ownerOf();
      const { onWalPosition } = options;
      const isUser = this.#caller?.isUser === true;
      const { observers } = this.#parts;
      const bounds = { owner, isUser, signal, timeoutMs, allowedMs, queryTimeoutMs, onWalPosition, observers };
      using scope = new TransactionScope(runner, begin, bounds);
      this.#markUse(connection);
      try {
        return await runTransaction(scope, work);
      } finally {
        const outcome = scope.outcome ?? "rolledBack";
        host.onTransactionEnd(outcome, settings.clock.now() - started);
        options.onEnd?.(outcome);
      }
    } finally {
      // A statement that the function did not await may have been aborted just now.
      await runner.ended();
    }
  }

  async #transaction<T>(work: TransactionWork<T>, options: AttemptOptions): Promise<T> {
    using lease = await this.#lease(options).catch(throwReason);
    try {
      return await this.#transactionOn(lease.resource, work, options);
    } catch (error) {
      throw toRevocationError(error, lease);
    }
  }

  async #list(statements: readonly Statement[], options: AttemptOptions): Promise<QueryResult[]> {
    const { signal, allowedMs } = options;
    const bounds = { signal, timeoutMs: timeoutOf(options.timeoutMs, this.config.queryTimeoutMs), allowedMs };
    return await this.#pipelined(statements, options, bounds, options);
  }

  /** Leases a connection for {@linkcode #pipelinedOn}, and resets it right behind the transaction where needed. */
  async #pipelined(
    statements: readonly Statement[],
    begin: BeginOptions,
    bounds: Bounds,
    options: QueryOptions,
  ): Promise<QueryResult[]> {
    const { runner: settings } = this.#parts;
    if (statements.some(({ text }) => traitsOf(text).controlsTransaction)) throw transactionControlError();
    const lease = await this.#lease(options).catch(throwReason);
    const connection = lease.resource;
    const runner = new StatementRunner(connection, settings, this.#work.upstream);
    let reset: Promise<void> | undefined;
    try {
      return await this.#pipelinedOn(runner, statements, begin, bounds, () => {
        options.onWalPosition?.(walPositionBehind(connection));
        // It is sent with the rest, so that the connection is free as soon as the answer has arrived.
        if (connection.mayHoldState) reset = connection.reset(true);
        return reset;
      });
    } catch (error) {
      throw toRevocationError(error, lease);
    } finally {
      // The caller need not wait for the reset.
      if (reset) {
        void runner.awaitOrDestroy(reset, settings.cancelTimeoutMs).finally(() => lease[Symbol.dispose]());
      } else lease[Symbol.dispose]();
    }
  }

  /**
   * Runs BEGIN, statements and COMMIT in one round trip.
   *
   * @param onSent Called when they have been sent. Resets the connection, if it has to be. Default: it does not.
   */
  async #pipelinedOn(
    runner: StatementRunner,
    statements: readonly Statement[],
    begin: BeginOptions,
    bounds: Bounds,
    onSent: () => Promise<void> | undefined = () => undefined,
  ): Promise<QueryResult[]> {
    const { runner: { clock, cancelTimeoutMs }, host } = this.#parts;
    const { connection } = runner;
    const started = clock.now();
    const traits = statements.map(({ text }) => traitsOf(text));
    if (!connection.ownsSession && traits.some(({ outlivesTransaction }) => outlivesTransaction)) {
      throw outlivesTransactionError();
    }
    const before = await this.#begin(runner, begin, bounds);
    const mayLeaveState = traits.some((each) => each.mayLeaveState);
    let end: PipelinedOutcome;
    do {
      // Each time: a reset behind the one before has cleared the marks.
      this.#markUse(connection);
      if (mayLeaveState) connection.mayHoldState = true;
      let reset: Promise<void> | undefined;
      end = await runPipelinedTransaction(runner, before, statements, bounds, () => reset = onSent());
      if (end.safeToResend && reset) await runner.awaitOrDestroy(reset, cancelTimeoutMs);
    } while (end.safeToResend && !connection.death && !bounds.signal?.aborted);
    host.onTransactionEnd(end.outcome, clock.now() - started);
    if (end.outcome === "committed" && end.error === undefined) return end.results;
    if (end.outcome === "rolledBack") noteRolledBack(end.error);
    throw end.error;
  }

  /** Leases a connection for this executor alone, and reports how long that took. */
  async #lease(options: LeaseOptions): Promise<Lease<BackendConnection>> {
    const { pool, runner: { clock } } = this.#parts;
    const { onWaited, onLeased } = this.#work;
    if (!onWaited) return await leaseConnection(pool, options, clock);
    const since = clock.now();
    try {
      const lease = await leaseConnection(pool, options, clock);
      onLeased?.(lease.id);
      return lease;
    } finally {
      onWaited(clock.now() - since);
    }
  }

  /** Rejects work that would run outside an open transaction, unless that is asked for. */
  #checkOutside({ outsideTransaction }: LeaseOptions): void {
    if (isInTransaction() && outsideTransaction !== true) checkOutside(this.#ownerOf());
  }

  #ownerOf(): TransactionOwner {
    const { identity = LOGIN_ROLE, claims } = this.#caller ?? {};
    return this.#owner ??= { pool: this.#parts.poolNumber, identity, claims };
  }

  /** Adds the signal of the work, and its flow where flows share the connections, to the options of a call. */
  #withWork<O extends LeaseOptions>(options: O): O {
    const { signal, flow: ofWork } = this.#work;
    const flow = this.config.fairShare ? options.flow ?? ofWork ?? this.#caller?.flow : undefined;
    if (!signal && flow === undefined) return options;
    return { ...options, signal: anySignal(signal, options.signal), flow };
  }

  /** Notes as whom a connection is used: what callers leave behind is never judged by its text. */
  #markUse(connection: BackendConnection): void {
    if (this.#caller) connection.mayHoldState = true;
    else connection.ranAsLoginRole = true;
  }

  /** Returns the statements that begin a transaction, as the caller if there is one, and prepares its connection. */
  async #begin(runner: StatementRunner, options: BeginOptions, bounds: Bounds): Promise<Statement[]> {
    const caller = this.#caller;
    if (!caller) return beginStatements(options);
    const { runner: { cancelTimeoutMs }, roleSettings, host } = this.#parts;
    caller.check();
    const { connection } = runner;
    if (connection.ranAsLoginRole) await runner.awaitOrDestroy(connection.reset(), cancelTimeoutMs);
    let settings = roleSettings.current(caller.role);
    if (!connection.loginRoleChecked || !settings) {
      // Both are sent at once. Neither is left behind: the loading sends more, which would meet the next lease.
      const loading = Promise.resolve(settings ?? roleSettings.load(caller.role, runner, bounds));
      const checking = checkLoginRole(runner, host.config.trustedLogin, bounds);
      await Promise.allSettled([loading, checking]);
      [settings] = await Promise.all([loading, checking]);
    }
    bounds.signal?.throwIfAborted();
    return beginStatements(options, caller.impersonate(settings), settings.begin);
  }

  #boundsOf({ signal, timeoutMs }: QueryOptions): Bounds {
    const { queryTimeoutMs } = this.#parts.host.config;
    return { signal, timeoutMs: timeoutMs === undefined ? queryTimeoutMs : timeoutOf(timeoutMs, queryTimeoutMs) };
  }
}
