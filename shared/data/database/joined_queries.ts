/**
 * Queries that join the transaction in whose function they run.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { ConfigError } from "../../pool/mod.ts";
import { anySignal } from "../../resilience/mod.ts";
import {
  captureList,
  type ListedStatement,
  type PostgresPool,
  type PostgresQueries,
  type QueryOptions,
  type QueryResult,
  type Row,
  StatementError,
  Transaction,
  type TransactionOptions,
  type TransactionWork,
} from "../../postgres/mod.ts";

/** Options that only the outermost transaction can have. */
const OF_OUTERMOST = [
  "isolationLevel",
  "readOnly",
  "deferrable",
  "statementTimeoutMs",
  "idleInTransactionSessionTimeoutMs",
  "timeoutMs",
  "signal",
  "retries",
] as const satisfies (keyof TransactionOptions)[];

function checkNested(options: TransactionOptions): void {
  const issues = OF_OUTERMOST.filter((path) => options[path] !== undefined)
    .map((path) => ({ path, message: "applies to the outermost transaction only, and this one is nested" }));
  if (issues.length > 0) throw new ConfigError(issues, "transaction options");
}

const OUTSIDE_OF_NOTHING = {
  path: "outsideTransaction",
  message: "cannot apply to a transaction as the source: use its pool",
};

/** A pool, or a transaction: then everything is part of it. */
export type JoinedSource = PostgresPool | Transaction;

/**
 * Runs statements in the open transaction of the pool in whose function they are called, and on the pool outside of one.
 * A transaction inside a transaction is a savepoint. `outsideTransaction: true` joins nothing. What aborts the work of the
 * pool aborts what joins, too.
 */
export class JoinedQueries implements PostgresQueries {
  readonly #source: () => JoinedSource;

  /** @param source Returns the pool or the transaction; called at each statement. */
  constructor(source: () => JoinedSource) {
    this.#source = source;
  }

  /**
   * Runs one statement.
   *
   * @throws {TransactionEndedError} when it was started in the function of a transaction that has ended.
   * @throws {ConfigError} for `outsideTransaction` where the source is a transaction.
   * @throws what `query` of the pool or the transaction throws.
   */
  async query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    const { target, signal } = this.#target(options);
    return await target.query<R>(
      text,
      values,
      signal ? { ...options, signal: anySignal(signal, options.signal) } : options,
    );
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs a function, or a list of statements, in a transaction; in a transaction, as a savepoint.
   *
   * @throws {ConfigError} when an option of the outermost transaction is given for a nested one.
   * @throws what `transaction` of the pool or the transaction throws.
   */
  async transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions = {},
  ): Promise<T | QueryResult[]> {
    const { target, signal } = this.#target(options);
    if (!(target instanceof Transaction)) {
      return await (typeof work === "function" ? target.transaction(work, options) : target.transaction(work, options));
    }
    checkNested(options);
    const run: TransactionWork<T | QueryResult[]> = typeof work === "function" ? work : (tx) => runList(tx, work);
    if (!signal) return await target.transaction(run);
    signal.throwIfAborted();
    return await target.transaction((tx) => abortable(Promise.resolve(run(tx)), signal));
  }

  /** Returns what runs a statement now, and a signal that aborts it and that the target does not obey by itself. */
  #target({ outsideTransaction }: QueryOptions): { target: JoinedSource; signal?: AbortSignal | undefined } {
    const source = this.#source();
    if (source instanceof Transaction) {
      if (outsideTransaction === true) throw new ConfigError([OUTSIDE_OF_NOTHING], "query options");
      return { target: source.currentTransaction() };
    }
    const current = outsideTransaction === true ? undefined : source.currentTransaction();
    if (!current) return { target: source };
    return { target: current, signal: source.signal === current.signal ? undefined : source.signal };
  }
}

async function runList(tx: Transaction, statements: readonly ListedStatement[]): Promise<QueryResult[]> {
  if (!Array.isArray(statements)) throw new StatementError("A transaction takes a function, or a list of statements");
  const results: QueryResult[] = [];
  // Later statements wait for earlier ones.
  for (const [index, statement] of captureList(statements).entries()) {
    if (typeof statement?.query !== "string") {
      throw new StatementError(`Statement ${index} of the list must be { query, values? } with a string as query`);
    }
    const { query, values, ...options } = statement;
    results.push(await tx.query(query, values, options));
  }
  return results;
}
