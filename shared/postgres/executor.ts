/**
 * Queries and transactions on a pool of connections, for one caller or for
 * nobody in particular.
 *
 * @module
 */
import { type AcquireOptions, ConfigError, type Lease, PoolClosedError, type ResourcePool } from "../pool/mod.ts";
import { noteRolledBack, retryTransaction } from "./attempts.ts";
import type { ActingCaller } from "./caller.ts";
import { StatementError } from "./errors.ts";
import { checkLoginRole } from "./login_role.ts";
import type { ListedStatement, QueryOptions, TransactionOptions, WorkOptions } from "./query_options.ts";
import type { QueryResult, Row, Statement } from "./query_result.ts";
import type { Session } from "./session.ts";
import { mayLeaveState } from "./session_state.ts";
import type { Sharing } from "./sharing.ts";
import { checkInTransaction } from "./statement_encoding.ts";
import { type Bounds, type RunnerSettings, StatementRunner } from "./statement_runner.ts";
import { runTogether, type TogetherOutcome } from "./together.ts";
import { Transaction } from "./transaction.ts";
import { type BeginOptions, beginStatements } from "./transaction_options.ts";
import { type TransactionOutcome, TransactionScope } from "./transaction_scope.ts";

/** What a transaction runs: a function, or statements that are sent together. */
export type TransactionWork<T> = (transaction: Transaction) => PromiseLike<T> | T;

/** Queries and transactions. */
export interface PostgresQueries {
  /** Runs one statement, in a transaction of its own. */
  query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  /** Runs statements that stand or fall together, in one round trip: one result for each. */
  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  /** Runs a function in a transaction: what it throws rolls back. */
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
}

/** Who looks after the figures of an executor. */
export interface ExecutorOwner {
  /** A transaction has ended. */
  ended(outcome: TransactionOutcome, durationMs: number): void;
  /** Something that nobody else learns of. */
  report(error: Error): void;
  /** The wall clock, in ms since 1970. */
  readonly nowEpochMs: () => number;
}

/** What an executor runs on. */
export interface ExecutorParts {
  readonly pool: ResourcePool<Session>;
  readonly sharing: Sharing;
  readonly runner: RunnerSettings;
  readonly queryTimeoutMs: number;
  readonly trustedLogin: string | undefined;
  readonly owner: ExecutorOwner;
}

/** Takes a connection from the pool. Statements of others may still be under way on it. */
async function acquire(pool: ResourcePool<Session>, options: QueryOptions): Promise<Lease<Session>> {
  const { lane, signal, acquireTimeoutMs: timeoutMs } = options;
  const acquireOptions: AcquireOptions = { lane, signal, timeoutMs };
  const lease = await pool.lease(acquireOptions);
  // A shutdown may have taken it back since it was granted.
  if (!lease.active) throw new PoolClosedError();
  return lease;
}

/** Takes a connection from the pool, for its holder alone. */
export async function leaseSession(pool: ResourcePool<Session>, options: QueryOptions): Promise<Lease<Session>> {
  const lease = await acquire(pool, options);
  if (!lease.resource.quiet) await lease.resource.drained();
  return lease;
}

/**
 * The milliseconds that an option asks for.
 *
 * @throws {ConfigError} when it is no number above 0.
 */
export function timeoutOf(value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw new ConfigError([{ path: "timeoutMs", message: `is ${value}, must be a number of ms above 0` }], "options");
}

/** Runs queries and transactions, each on a connection of its own. */
export class Executor implements PostgresQueries {
  readonly #parts: ExecutorParts;
  readonly #caller: ActingCaller | undefined;
  readonly #work: WorkOptions;

  /**
   * @param caller Whom to act for; nobody in particular without it.
   * @param work What holds for all that is done for the caller.
   */
  constructor(parts: ExecutorParts, caller: ActingCaller | undefined = undefined, work: WorkOptions = {}) {
    this.#parts = parts;
    this.#caller = caller;
    this.#work = work;
  }

  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    if (this.#caller) {
      const given = this.#within(options);
      const [result] = await this.#together([{ text, values }], {}, this.#bounds(given), given);
      return result as QueryResult<R>;
    }
    const bounds = this.#bounds(options);
    return await this.#shared({ text, values }, bounds, options) as QueryResult<R>;
  }

  /** One statement, perhaps behind others on the same connection. */
  async #shared(statement: Statement, bounds: Bounds, options: QueryOptions): Promise<QueryResult> {
    const { pool, sharing, runner: settings } = this.#parts;
    for (;;) {
      bounds.signal?.throwIfAborted();
      const free = sharing.tryLease(options.lane);
      const lease = free ?? await acquire(pool, options);
      const { resource: session } = lease;
      const most = mayLeaveState(statement.text) ? 1 : session.statements.mostInFlight(statement.text);
      if (most === 1 && !session.quiet) await session.drained();
      session.used = true;
      session.dirty ||= most === 1 && mayLeaveState(statement.text);
      const running = session.start([statement], most > 1);
      if (most > 1) sharing.offer(lease, session, most, free === undefined);
      try {
        return only(await new StatementRunner(session, settings).follow(running, bounds));
      } catch (error) {
        // By now the connection may be another one's: it is sent again on whichever comes.
        if (!running.mayRepeat(error)) throw error;
      } finally {
        sharing.end(lease, session);
      }
    }
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  async transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions = {},
  ): Promise<T | QueryResult[]> {
    const given = this.#within(options);
    const { retries = 0, signal } = given;
    const once = typeof work === "function" ? () => this.#transaction(work, given) : () => this.#list(work, given);
    return await retryTransaction<T | QueryResult[]>(once, { retries, signal, clock: this.#parts.runner.clock });
  }

  /** Runs a function in a transaction on a connection that is held already. */
  async transactionOn<T>(session: Session, work: TransactionWork<T>, options: TransactionOptions): Promise<T> {
    const { runner: settings, queryTimeoutMs, owner } = this.#parts;
    const begin = [...beginStatements(options), ...await this.#become(session)];
    const started = settings.clock.now();
    using scope = new TransactionScope(new StatementRunner(session, settings), begin, {
      signal: options.signal,
      timeoutMs: timeoutOf(options.timeoutMs, Infinity),
      queryTimeoutMs,
      report: (error) => owner.report(error),
    });
    this.#mark(session);
    try {
      return await new Transaction(scope, 0).perform(work);
    } finally {
      owner.ended(scope.outcome ?? "rolledBack", settings.clock.now() - started);
    }
  }

  async #transaction<T>(work: TransactionWork<T>, options: TransactionOptions): Promise<T> {
    using lease = await this.#lease(options);
    return await this.transactionOn(lease.resource, work, options);
  }

  #list(list: readonly ListedStatement[], options: TransactionOptions): Promise<QueryResult[]> {
    if (!Array.isArray(list) || list.some((each) => typeof each !== "object" || each === null)) {
      throw new StatementError("A transaction takes a function, or a list of statements: [{ query, values }, …]");
    }
    const statements = list.map(({ query, values = [] }) => ({ text: query, values }));
    const bounds = { signal: options.signal, timeoutMs: timeoutOf(options.timeoutMs, this.#parts.queryTimeoutMs) };
    return this.#together(statements, options, bounds, options);
  }

  /** Begin, statements and COMMIT in one round trip, and what clears the connection right behind them. */
  async #together(
    statements: readonly Statement[],
    begin: BeginOptions,
    bounds: Bounds,
    options: QueryOptions,
  ): Promise<QueryResult[]> {
    const { runner: settings, owner } = this.#parts;
    for (const { text } of statements) checkInTransaction(text);
    const lease = await this.#lease(options);
    const { resource: session } = lease;
    let cleared: Promise<void> | undefined;
    try {
      const started = settings.clock.now();
      const runner = new StatementRunner(session, settings);
      const before = [...beginStatements(begin), ...await this.#become(session)];
      this.#mark(session);
      session.dirty ||= statements.some(({ text }) => mayLeaveState(text));
      let end: TogetherOutcome;
      do {
        const running = runTogether(runner, before, statements, bounds);
        // It goes out with the rest, so that the connection is free as soon as the answer is there.
        if (session.dirty) cleared = session.reset();
        end = await running;
        if (end.again) await runner.withinOrCut(cleared ?? session.reset(), settings.cancelTimeoutMs);
      } while (end.again && !session.death && !bounds.signal?.aborted);
      owner.ended(end.outcome, settings.clock.now() - started);
      if (cleared) cleared = runner.withinOrCut(cleared, settings.cancelTimeoutMs);
      if (end.outcome === "rolledBack") noteRolledBack(end.error);
      if (end.outcome !== "committed") throw end.error;
      return end.results;
    } finally {
      // Whoever waits for the result need not wait for that.
      if (cleared) void cleared.finally(() => lease[Symbol.dispose]());
      else lease[Symbol.dispose]();
    }
  }

  /** A connection for one piece of work alone. */
  async #lease(options: QueryOptions): Promise<Lease<Session>> {
    const { pool, runner: { clock } } = this.#parts;
    const { onWaited } = this.#work;
    if (!onWaited) return await leaseSession(pool, options);
    const since = clock.now();
    try {
      return await leaseSession(pool, options);
    } finally {
      onWaited(clock.now() - since);
    }
  }

  /** What is asked of one of them, and of all. */
  #within<O extends QueryOptions>(options: O): O {
    const { signal } = this.#work;
    if (!signal) return options;
    return { ...options, signal: options.signal ? AbortSignal.any([signal, options.signal]) : signal };
  }

  /** Notes for whom a session is used: what callers leave behind is never judged by its text. */
  #mark(session: Session): void {
    if (this.#caller) session.dirty = true;
    else session.used = true;
  }

  /** What makes a session the caller's. */
  async #become(session: Session): Promise<Statement[]> {
    const { trustedLogin, owner } = this.#parts;
    if (!this.#caller) return [];
    const become = this.#caller.become(owner.nowEpochMs());
    if (session.used) await session.reset();
    await checkLoginRole(session, trustedLogin);
    return [become];
  }

  #bounds({ signal, timeoutMs }: QueryOptions): Bounds {
    return { signal, timeoutMs: timeoutOf(timeoutMs, this.#parts.queryTimeoutMs) };
  }
}

/** Runs a statement for nobody in particular on a connection that its holder has alone. */
export async function runPlain(
  session: Session,
  settings: RunnerSettings,
  statement: Statement,
  bounds: Bounds,
): Promise<QueryResult> {
  session.used = true;
  session.dirty ||= mayLeaveState(statement.text);
  for (;;) {
    bounds.signal?.throwIfAborted();
    const running = session.start([statement]);
    try {
      return only(await new StatementRunner(session, settings).follow(running, bounds));
    } catch (error) {
      if (!running.mayRepeat(error) || session.status !== "idle") throw error;
    }
  }
}

function only([result]: readonly QueryResult[]): QueryResult {
  if (!result) throw new Error("a statement was answered without a result");
  return result;
}
