/**
 * Queries and transactions on a pool of connections, for one caller or for
 * nobody in particular.
 *
 * @module
 */
import type { Lease } from "../../pool/mod.ts";
import { noteRolledBack, retryTransaction } from "./attempts.ts";
import type { ActingCaller } from "../caller/caller.ts";
import { TransactionOpenError } from "../errors/errors.ts";
import { checkLoginRole } from "../caller/login_role.ts";
import { runShared, type SharedParts } from "./plain_statement.ts";
import {
  type ListedStatement,
  type QueryOptions,
  timeoutOf,
  type TransactionOptions,
  type WorkOptions,
} from "./query_options.ts";
import type { QueryResult, Row, Statement } from "../wire/query_result.ts";
import type { Session } from "../connection/session.ts";
import { explainLoss, leaseSession } from "../connection/session_lease.ts";
import { mayLeaveState } from "../connection/session_state.ts";
import { checkInTransaction, checkWithoutSession, listed } from "../wire/statement_encoding.ts";
import { type Bounds, StatementRunner } from "./statement_runner.ts";
import { runTogether, type TogetherOutcome } from "./together.ts";
import { Transaction } from "../transaction/transaction.ts";
import { type BeginOptions, beginStatements } from "../transaction/transaction_options.ts";
import { type TransactionOutcome, TransactionScope } from "../transaction/transaction_scope.ts";

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
export interface ExecutorParts extends SharedParts {
  readonly queryTimeoutMs: number;
  readonly trustedLogin: string | undefined;
  readonly owner: ExecutorOwner;
}

/** Options of one attempt at a transaction. */
interface AttemptOptions extends TransactionOptions {
  /** What `timeoutMs` was before earlier attempts used some of it up. */
  readonly allowedMs?: number | undefined;
  /** Told how it ended. */
  readonly onEnd?: (outcome: TransactionOutcome) => void;
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
    return await runShared(this.#parts, { text, values }, this.#bounds(options), options) as QueryResult<R>;
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  async transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions = {},
  ): Promise<T | QueryResult[]> {
    const given = this.#within(options);
    const { retries = 0, signal } = given;
    const { clock } = this.#parts.runner;
    const timeoutMs = timeoutOf(given.timeoutMs, Infinity);
    const until = retries === 0 ? Infinity : clock.now() + timeoutMs;
    let outcome: TransactionOutcome = "rolledBack";
    const onEnd = (ended: TransactionOutcome) => outcome = ended;
    const once = () => {
      const leftMs = until === Infinity ? given.timeoutMs : Math.max(until - clock.now(), 1);
      const attempt = { ...given, timeoutMs: leftMs, allowedMs: given.timeoutMs, onEnd };
      return typeof work === "function" ? this.#transaction(work, attempt) : this.#list(work, attempt);
    };
    const undone = () => outcome === "rolledBack";
    return await retryTransaction<T | QueryResult[]>(once, { retries, signal, clock, until, undone });
  }

  /**
   * Runs a function in a transaction on a connection that is held already.
   *
   * @throws {TransactionOpenError} while another one is open on it.
   */
  async transactionOn<T>(
    session: Session,
    work: TransactionWork<T>,
    options: AttemptOptions,
  ): Promise<T> {
    const { runner: settings, queryTimeoutMs, owner } = this.#parts;
    const { signal } = options;
    const timeoutMs = timeoutOf(options.timeoutMs, Infinity);
    if (session.inTransaction || session.status !== "idle") throw new TransactionOpenError();
    signal?.throwIfAborted();
    session.inTransaction = true;
    const started = settings.clock.now();
    const runner = new StatementRunner(session, settings);
    try {
      const begin = beginStatements(options);
      begin.push(...await this.#become(runner, { signal, timeoutMs: Math.min(timeoutMs, queryTimeoutMs) }));
      const { allowedMs = timeoutMs } = options;
      const report = (error: Error) => owner.report(error);
      using scope = new TransactionScope(runner, begin, { signal, timeoutMs, allowedMs, queryTimeoutMs, report });
      this.#mark(session);
      try {
        return await new Transaction(scope, 0).perform(work);
      } finally {
        const outcome = scope.outcome ?? "rolledBack";
        owner.ended(outcome, settings.clock.now() - started);
        options.onEnd?.(outcome);
      }
    } finally {
      // A statement that nobody waited for may have been given up just now.
      if (runner.ending) await runner.ended();
      session.inTransaction = false;
    }
  }

  async #transaction<T>(work: TransactionWork<T>, options: AttemptOptions): Promise<T> {
    using lease = await this.#lease(options);
    try {
      return await this.transactionOn(lease.resource, work, options);
    } catch (error) {
      throw explainLoss(error, lease);
    }
  }

  async #list(list: readonly ListedStatement[], options: AttemptOptions): Promise<QueryResult[]> {
    const statements = listed(list);
    const { signal, allowedMs } = options;
    const bounds = { signal, timeoutMs: timeoutOf(options.timeoutMs, this.#parts.queryTimeoutMs), allowedMs };
    return await this.#together(statements, options, bounds, options);
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
      if (!session.owned) { for (const { text } of statements) checkWithoutSession(text); }
      const before = [...beginStatements(begin), ...await this.#become(runner, bounds)];
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
      if (end.outcome !== "committed") throw explainLoss(end.error, lease);
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
    if (!onWaited) return await leaseSession(pool, options, clock);
    const since = clock.now();
    try {
      return await leaseSession(pool, options, clock);
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
  async #become(runner: StatementRunner, bounds: Bounds): Promise<Statement[]> {
    const { trustedLogin, owner } = this.#parts;
    if (!this.#caller) return [];
    const become = this.#caller.become(owner.nowEpochMs());
    const { session, settings: { cancelTimeoutMs } } = runner;
    if (session.used) await runner.withinOrCut(session.reset(), cancelTimeoutMs);
    await checkLoginRole(runner, trustedLogin, bounds);
    bounds.signal?.throwIfAborted();
    return [become];
  }

  #bounds({ signal, timeoutMs }: QueryOptions): Bounds {
    return { signal, timeoutMs: timeoutOf(timeoutMs, this.#parts.queryTimeoutMs) };
  }
}
