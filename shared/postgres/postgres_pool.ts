/**
 * The interface of a pool of Postgres connections.
 *
 * @module
 */
import type { PoolStats } from "../pool/mod.ts";
import type { CircuitSnapshot, RetryBudget, RetryBudgetStats } from "../resilience/mod.ts";
import type { PostgresConfig } from "./config/options.ts";
import type { PostgresConnection } from "./connection/connection.ts";
import type { ConnectionLimitStats } from "./connection/connection_pool.ts";
import type { PostgresCircuitStats } from "./connection/target_circuit.ts";
import type { LeaseOptions, ListedStatement, QueryOptions, TransactionOptions } from "./query/query_options.ts";
import type { SqlTag } from "./query/sql.ts";
import type { Transaction } from "./transaction/transaction.ts";
import type { TransactionStats } from "./transaction/transaction_scope.ts";
import type { QueryResult, Row } from "./wire/query_result.ts";

/** A function to run in a transaction. */
export type TransactionWork<T> = (transaction: Transaction) => PromiseLike<T> | T;

/**
 * Queries and transactions.
 *
 * The function of a transaction uses the transaction that it receives. Inside it, the pool rejects work as the same
 * identity with an {@linkcode OutsideTransactionError}, since that would run outside the transaction; work as another
 * identity, and on another pool, runs by itself. `outsideTransaction: true` allows it.
 */
export interface PostgresQueries {
  /** Runs one statement, in a transaction of its own. */
  query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  /** Runs statements in one transaction and one round trip, and returns one result per statement. */
  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  /** Runs a function in a transaction, which rolls back if the function throws. */
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
}

/** A pool of Postgres connections: a manager, or `manager.as(caller)`, on which everything runs as the caller. */
export interface PostgresPool extends PostgresQueries {
  /** The options in effect, without `password` and `ssl`. */
  readonly config: Readonly<Omit<PostgresConfig, "password" | "ssl">>;
  /** Aborts all queries, transactions and leases; `undefined` where nothing does. */
  readonly signal?: AbortSignal | undefined;
  /** Bounds the retries of all that share the pool. Default: none. */
  readonly retryBudget?: RetryBudget | undefined;
  /** Creates statements as templates: sql`SELECT name FROM budgets WHERE id = ${id}`. */
  readonly sql: SqlTag;
  /**
   * Leases a connection. It must be released; `await using` does it.
   *
   * @throws {AcquireTimeoutError} when none became available in time.
   */
  lease(options?: LeaseOptions): Promise<PostgresConnection>;
  /**
   * Returns the open transaction of this pool and identity in whose function the running code is, the innermost one;
   * `undefined` outside of any.
   *
   * @throws {TransactionEndedError} when the code was started in the function of a transaction that has ended.
   */
  currentTransaction(): Transaction | undefined;
  /** Returns the current statistics. */
  getStats(): PostgresStats;
  /** Checks that the database answers. Never rejects. */
  healthCheck(): Promise<PostgresHealth>;
}

/** Statistics of a manager. */
export interface PostgresStats extends PoolStats {
  /** The outcomes and durations of transactions. */
  readonly transactions: TransactionStats;
  /** The mode of the pooler in front of Postgres, `session` without one; `undefined` until it is known. */
  readonly poolMode: "session" | "transaction" | undefined;
  /** The limit of the pool while its server is full. */
  readonly connectionLimit?: ConnectionLimitStats;
  /** The circuit breaker of the server; absent if `circuitBreaker` is off. */
  readonly circuit?: PostgresCircuitStats;
  /** The use of the retry budget; absent if `retryBudget` is off. */
  readonly retryBudget?: RetryBudgetStats;
}

/** The result of a health check. */
export interface PostgresHealth {
  /** True if the database answered and the pool is open. */
  readonly healthy: boolean;
  /** The reason why not. It holds no values and no secrets, and is still meant for operators only. */
  readonly error?: Error;
  /**
   * True if transactions can only read by default: on a standby, or where `default_transaction_read_only` is on, as on a
   * hosted project whose disk is full. Such a database is healthy. `undefined` if it did not answer.
   */
  readonly readOnly?: boolean;
  /** True if nothing was asked, because health checks are off. */
  readonly skipped?: true;
  /** The duration of the check, in ms. */
  readonly durationMs: number;
  /** The state of the circuit breaker after the check; absent if `circuitBreaker` is off. */
  readonly circuit?: CircuitSnapshot;
  /** The statistics of the pool. */
  readonly stats: PoolStats;
}
