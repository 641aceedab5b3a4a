/**
 * What a transaction's function is given.
 *
 * @module
 */
import {
  NestedTransactionOpenError,
  PostgresError,
  TransactionEndedError,
  TransactionRolledBackError,
} from "../errors/errors.ts";
import { timeoutOf } from "../query/query_options.ts";
import type { QueryResult, Row, Statement } from "../wire/query_result.ts";
import { checkInTransaction } from "../wire/statement_encoding.ts";
import type { TransactionScope } from "./transaction_scope.ts";

/** Options of one statement in a transaction. */
export interface TransactionQueryOptions {
  /** How long the statement may take, in ms. Default: the manager's `queryTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/**
 * A transaction, or one nested in it, while its function runs.
 *
 * Returning from the function commits, throwing rolls back; {@linkcode commit}
 * and {@linkcode rollback} do so earlier. A nested transaction is a savepoint:
 * its failure undoes what it did and nothing else.
 */
export class Transaction {
  readonly #scope: TransactionScope;
  /** The savepoint; `undefined` for the outermost. */
  readonly #savepoint: Statement | undefined;
  readonly #name: string;
  #nested: Transaction | undefined = undefined;
  #ended = false;
  /** Gives up the statements of a nested one that are under way when it is rolled back. */
  readonly #abandoned: AbortController | undefined;
  /** The first error of a statement, should its caller have kept it to itself. */
  #failure: unknown = undefined;

  /** For the manager: transactions are begun with its `transaction`. */
  constructor(scope: TransactionScope, level: number) {
    this.#scope = scope;
    this.#name = `level_${level}`;
    this.#savepoint = level === 0 ? undefined : { text: `SAVEPOINT ${this.#name}` };
    this.#abandoned = level === 0 ? undefined : new AbortController();
    // It goes out together with the first statement inside.
    if (this.#savepoint) scope.before.push(this.#savepoint);
  }

  /** Whether it has been committed or rolled back. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Aborts when the transaction's caller gives up. */
  get signal(): AbortSignal | undefined {
    return this.#scope.signal;
  }

  /**
   * Runs a statement in the transaction.
   *
   * @throws {PostgresError} what the server reported. The transaction can only be rolled back then.
   * @throws {StatementError} when it cannot be sent, or would begin or end a transaction by itself.
   * @throws {TransactionEndedError} when it was committed or rolled back.
   * @throws {NestedTransactionOpenError} while one nested in it is open.
   * @throws {QueryTimeoutError} when the statement took too long.
   * @throws {ConfigError} when `timeoutMs` is no number above 0.
   */
  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: TransactionQueryOptions = {},
  ): Promise<QueryResult<R>> {
    this.#check();
    checkInTransaction(text);
    this.#scope.note(text);
    const timeoutMs = options.timeoutMs === undefined ? undefined : timeoutOf(options.timeoutMs, Infinity);
    try {
      return await this.#scope.run({ text, values }, timeoutMs, this.#abandoned?.signal) as QueryResult<R>;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  /**
   * Runs `work` in a transaction nested in this one.
   *
   * @throws what `work` throws; what it did is undone.
   * @throws {TransactionRolledBackError} when a statement in it had failed and `work` did not pass its error on.
   */
  async transaction<T>(work: (transaction: Transaction) => PromiseLike<T> | T): Promise<T> {
    this.#check();
    const nested = this.#nested = new Transaction(this.#scope, this.#scope.nextLevel());
    try {
      return await nested.perform(work);
    } finally {
      this.#nested = undefined;
    }
  }

  /** Commits now: the function may go on, but runs nothing more in this transaction. */
  async commit(): Promise<void> {
    this.#check();
    await this.#commit();
  }

  /** Rolls back now; the function's own result is what the caller gets. */
  async rollback(): Promise<void> {
    this.#check();
    await this.#rollback();
  }

  /** For the manager: runs the function, and ends the transaction as it does. */
  async perform<T>(work: (transaction: Transaction) => PromiseLike<T> | T): Promise<T> {
    let result: T;
    try {
      result = this.#savepoint ? await work(this) : await this.#scope.race(work(this));
    } catch (error) {
      if (!this.#ended) await this.#rollback();
      throw error;
    }
    if (this.#nested) await this.#leaveOpen();
    if (!this.#ended) await this.#commit();
    return result;
  }

  #check(): void {
    if (this.#ended) throw new TransactionEndedError();
    if (this.#nested) throw new NestedTransactionOpenError();
  }

  /** The function has returned while one nested in it still runs: what that does would come too late. */
  async #leaveOpen(): Promise<never> {
    await this.#rollback();
    throw new NestedTransactionOpenError();
  }

  #end(): void {
    this.#ended = true;
    const nested = this.#nested;
    if (nested) nested.#end();
  }

  async #commit(): Promise<void> {
    this.#end();
    if (!this.#savepoint) return await this.#scope.commit(() => this.#failure);
    if (this.#unsent(this.#savepoint)) return;
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
    this.#abandon(new TransactionEndedError());
    await this.#scope.settled();
    if (!this.#unsent(this.#savepoint)) await this.#undo(this.#savepoint);
  }

  /** What still runs in it, or in one nested in it, would hold the rollback up. */
  #abandon(reason: Error): void {
    this.#abandoned?.abort(reason);
    if (this.#nested) this.#nested.#abandon(reason);
  }

  async #undo(savepoint: Statement): Promise<void> {
    // In a transaction that had failed before, there is none to go back to.
    if (!this.#scope.hasRun(savepoint)) return;
    await this.#scope.undo([
      { text: `ROLLBACK TO SAVEPOINT ${this.#name}` },
      { text: `RELEASE SAVEPOINT ${this.#name}` },
    ]);
  }

  /** Takes back a savepoint that no statement has followed. */
  #unsent(savepoint: Statement): boolean {
    const index = this.#scope.before.indexOf(savepoint);
    if (index >= 0) this.#scope.before.splice(index);
    return index >= 0;
  }
}
