/**
 * A transaction of the library that is committed or rolled back by calls, as Kysely does it, and not by the end of a
 * function.
 *
 * @module
 */
import { joinContext, type Transaction, type TransactionContext } from "../../postgres/mod.ts";
import type { KyselyTransactionOptions, Statements } from "./source.ts";

/** A transaction that waits for {@linkcode OpenTransaction.commit} or {@linkcode OpenTransaction.rollback}. */
export class OpenTransaction {
  readonly #transaction: Transaction;
  readonly #end: PromiseWithResolvers<boolean>;
  readonly #ended: Promise<void>;
  /** The error that ended it from outside: its deadline, its signal, or a shutdown. */
  #failure: { readonly error: unknown } | undefined = undefined;

  private constructor(transaction: Transaction, end: PromiseWithResolvers<boolean>, ended: Promise<void>) {
    this.#transaction = transaction;
    this.#end = end;
    this.#ended = ended;
    ended.catch((error) => this.#failure = { error });
  }

  /**
   * Begins a transaction. BEGIN itself is sent with the first statement.
   *
   * @param context The context of the function that runs in it. Default: there is none.
   * @throws what `transaction` of the source throws before its function is called.
   */
  static async begin(
    statements: Statements,
    options: KyselyTransactionOptions,
    context?: TransactionContext,
  ): Promise<OpenTransaction> {
    const begun = Promise.withResolvers<Transaction>();
    const end = Promise.withResolvers<boolean>();
    const ended = statements.transaction(async (transaction) => {
      if (context) joinContext(context);
      begun.resolve(transaction);
      if (!await end.promise) await transaction.rollback();
    }, options);
    ended.catch(begun.reject);
    return new OpenTransaction(await begun.promise, end, ended);
  }

  /** True once it has ended, also by its deadline. */
  get ended(): boolean {
    return this.#failure !== undefined || this.#transaction.ended;
  }

  /** Resolves once it has ended in any way. Never rejects. */
  get settled(): Promise<void> {
    return this.#ended.catch(() => {});
  }

  /**
   * Runs a statement in it.
   *
   * @throws the error that has ended the transaction; otherwise what `query` of a transaction throws.
   */
  query: Statements["query"] = async (text, values, options) => {
    try {
      return await this.#transaction.query(text, values, options);
    } catch (error) {
      throw this.#failure ? this.#failure.error : error;
    }
  };

  /**
   * Commits.
   *
   * @throws what a transaction throws whose function has returned: it was not committed, or its outcome is unknown.
   */
  commit(): Promise<void> {
    this.#end.resolve(true);
    return this.#ended;
  }

  /** Rolls back. Never rejects: where that fails, the connection is destroyed, and the server rolls back. */
  async rollback(): Promise<void> {
    this.#end.resolve(false);
    await this.settled;
  }
}
