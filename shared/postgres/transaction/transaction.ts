/**
 * A transaction, as its function uses it.
 *
 * @module
 */
import { PostgresError } from "../errors/server_error.ts";
import {
  NestedTransactionOpenError,
  TransactionEndedError,
  TransactionRolledBackError,
} from "../errors/transaction_error.ts";
import { anySignal } from "../../resilience/mod.ts";
import type { TransactionWork } from "../postgres_pool.ts";
import { statementOf, type StatementOptions, timeoutOf } from "../query/query_options.ts";
import { createSql, type SqlTag } from "../query/sql.ts";
import type { QueryResult, Row, Statement } from "../wire/query_result.ts";
import { traitsOf, transactionControlError } from "../wire/statement_traits.ts";
import { findInnermost, markOf, runMarked, type TransactionMark } from "./current_transaction.ts";
import type { TransactionScope } from "./transaction_scope.ts";

/** Options of one statement in a transaction. */
export interface TransactionQueryOptions extends StatementOptions {
  /** The time limit of the statement, in ms. Default: the manager's `queryTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /**
   * Aborts the statement, which is canceled at the server. If it had begun, the transaction can only be rolled back.
   * Default: none.
   */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a function in the transaction of a scope, and commits or rolls back as it ends. */
export let runTransaction: <T>(scope: TransactionScope, work: TransactionWork<T>) => Promise<T>;

/**
 * A transaction, or a nested one, while its function runs.
 *
 * Returning from the function commits, throwing rolls back; {@linkcode commit}
 * and {@linkcode rollback} do so earlier. A nested transaction is a savepoint: its failure undoes only what it did.
 */
export class Transaction {
  readonly #scope: TransactionScope;
  /** The savepoint; `undefined` for the outermost. */
  readonly #savepoint: Statement | undefined;
  readonly #name: string;
  #nested: Transaction | undefined = undefined;
  #ended = false;
  #sql: SqlTag<TransactionQueryOptions> | undefined = undefined;
  /** Marks the function in the async context. */
  readonly #mark: TransactionMark;
  /** Aborts the statements of a nested transaction that are in flight when it is rolled back. */
  readonly #statements: AbortController | undefined;
  /** The first error of a statement, in case the function catches it. */
  #failure: unknown = undefined;

  static {
    runTransaction = (scope, work) => new Transaction(scope, 0).#run(work);
  }

  private constructor(scope: TransactionScope, level: number) {
    this.#scope = scope;
    this.#name = `level_${level}`;
    this.#savepoint = level === 0 ? undefined : { text: `SAVEPOINT ${this.#name}` };
    this.#mark = markOf(scope.owner, this);
    this.#statements = level === 0 ? undefined : new AbortController();
    // It is sent with the first statement inside.
    if (this.#savepoint) scope.before.push(this.#savepoint);
  }

  /** True once it has been committed or rolled back. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Creates statements as templates, which run in the transaction when they are awaited. */
  get sql(): SqlTag<TransactionQueryOptions> {
    return this.#sql ??= createSql((text, values, options) => this.query(text, values, options));
  }

  /** The signal of the transaction's caller. */
  get signal(): AbortSignal | undefined {
    return this.#scope.signal;
  }

  /**
   * Runs a statement in the transaction.
   *
   * @throws {PostgresError} what the server reported. Then the transaction can only be rolled back.
   * @throws {StatementError} when it cannot be sent, or controls transactions.
   * @throws {TransactionEndedError} when it was committed or rolled back.
   * @throws {NestedTransactionOpenError} while a nested transaction is open.
   * @throws {QueryTimeoutError} when the statement took too long.
   * @throws {SharedLoaderError} when it acts for a user, and is used in a loader of the shared cache.
   * @throws the reason of `signal`.
   * @throws {ConfigError} when `timeoutMs` is not a number above 0.
   */
  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: TransactionQueryOptions = {},
  ): Promise<QueryResult<R>> {
    this.#check();
    this.#scope.checkCaller();
    const traits = traitsOf(text);
    if (traits.controlsTransaction) throw transactionControlError();
    this.#scope.checkState(traits);
    const timeoutMs = options.timeoutMs === undefined ? undefined : timeoutOf(options.timeoutMs, Infinity);
    options.signal?.throwIfAborted();
    const signal = anySignal(this.#statements?.signal, options.signal);
    try {
      const statement = statementOf(text, values, options);
      return await this.#scope.run(statement, timeoutMs, signal) as QueryResult<R>;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  /**
   * Runs `work` in a transaction nested in this one.
   *
   * @throws what `work` throws; its statements are undone.
   * @throws {TransactionRolledBackError} when a statement in it failed and `work` caught its error.
   */
  async transaction<T>(work: TransactionWork<T>): Promise<T> {
    this.#check();
    const nested = this.#nested = new Transaction(this.#scope, this.#scope.nextLevel());
    try {
      return await nested.#run(work);
    } finally {
      this.#nested = undefined;
    }
  }

  /**
   * Returns the innermost open transaction nested in this one in whose function the running code is: this one itself,
   * outside of any.
   *
   * @throws {TransactionEndedError} when the code was started in the function of a nested one that has ended.
   */
  currentTransaction(): Transaction {
    if (this.#ended) return this;
    return findInnermost(this.#scope.owner, (one) => one.#scope === this.#scope) ?? this;
  }

  /** Commits now. The function may continue, but not use this transaction. */
  async commit(): Promise<void> {
    this.#check();
    await this.#commit();
  }

  /** Rolls back now. The caller receives the function's result. */
  async rollback(): Promise<void> {
    this.#check();
    await this.#rollback();
  }

  /** Runs the function, and commits or rolls back as it ends. */
  async #run<T>(work: TransactionWork<T>): Promise<T> {
    let result: T;
    try {
      const running = runMarked(this.#mark, work, this);
      result = this.#savepoint ? await running : await this.#scope.wait(running);
    } catch (error) {
      this.#mark.returned = true;
      if (!this.#ended) await this.#rollback();
      throw error;
    }
    this.#mark.returned = true;
    if (this.#nested) {
      await this.#rollback();
      throw new NestedTransactionOpenError();
    }
    if (!this.#ended) await this.#commit();
    return result;
  }

  #check(): void {
    if (this.#ended) throw new TransactionEndedError();
    if (this.#nested) throw new NestedTransactionOpenError();
  }

  #end(): void {
    this.#ended = true;
    this.#mark.open = undefined;
    const nested = this.#nested;
    if (nested) nested.#end();
  }

  async #commit(): Promise<void> {
    this.#end();
    if (!this.#savepoint) return await this.#scope.commit(() => this.#failure);
    if (this.#withdrawUnsent(this.#savepoint)) return;
    try {
      await this.#scope.run({ text: `RELEASE SAVEPOINT ${this.#name}` });
    } catch (error) {
      await this.#undo(this.#savepoint);
      throw error instanceof PostgresError && this.#failure ? new TransactionRolledBackError(this.#failure) : error;
    }
  }

  async #rollback(): Promise<void> {
    this.#end();
    if (!this.#savepoint) return await this.#scope.rollback();
    this.#abortStatements(new TransactionEndedError());
    await this.#scope.settled();
    if (!this.#withdrawUnsent(this.#savepoint)) await this.#undo(this.#savepoint);
  }

  /** Aborts what still runs in it, or in a nested transaction: it would delay the rollback. */
  #abortStatements(reason: Error): void {
    this.#statements?.abort(reason);
    if (this.#nested) this.#nested.#abortStatements(reason);
  }

  async #undo(savepoint: Statement): Promise<void> {
    // In a transaction that had failed before, the savepoint was never set.
    if (!this.#scope.tookEffect(savepoint)) return;
    await this.#scope.undo([
      { text: `ROLLBACK TO SAVEPOINT ${this.#name}` },
      { text: `RELEASE SAVEPOINT ${this.#name}` },
    ]);
  }

  /** Withdraws a savepoint that was not sent, because no statement followed; returns whether it did. */
  #withdrawUnsent(savepoint: Statement): boolean {
    const index = this.#scope.before.indexOf(savepoint);
    if (index >= 0) this.#scope.before.splice(index);
    return index >= 0;
  }
}
