/**
 * A leased connection.
 *
 * @module
 */
import type { Lease } from "../../pool/mod.ts";
import type { TransactionWork } from "../postgres_pool.ts";
import type { Executor } from "../query/executor.ts";
import {
  type QueryOptions,
  statementOf,
  type StatementOptions,
  type TransactionOptions,
} from "../query/query_options.ts";
import { createSql, type SqlTag } from "../query/sql.ts";
import type { QueryResult, Row } from "../wire/query_result.ts";
import type { BackendConnection } from "./backend_connection.ts";

/** Options of a statement on a leased connection. */
export interface ConnectionQueryOptions extends Pick<QueryOptions, "signal" | "timeoutMs">, StatementOptions {}

/** Creates a {@linkcode PostgresConnection} for the holder of a lease. */
export let createConnection: (lease: Lease<BackendConnection>, executor: Executor) => PostgresConnection;

/**
 * A connection that its holder has alone until it is released. Leased from `manager.as(caller)`, every statement and
 * transaction on it runs as the caller; leased from the manager, as the login role.
 *
 * What was set on it, and what is unfinished, is cleared before its next lease.
 *
 * @example Settings for several statements
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * await using connection = await manager.lease();
 * await connection.query("SET statement_timeout = '5s'");
 * await connection.query("SELECT count(*) FROM budgets");
 * ```
 */
export class PostgresConnection implements Disposable, AsyncDisposable {
  readonly #lease: Lease<BackendConnection>;
  readonly #executor: Executor;
  #sql: SqlTag<ConnectionQueryOptions> | undefined = undefined;

  static {
    createConnection = (lease, executor) => new PostgresConnection(lease, executor);
  }

  private constructor(lease: Lease<BackendConnection>, executor: Executor) {
    this.#lease = lease;
    this.#executor = executor;
  }

  /** Aborts when the connection breaks, or when a shutdown revokes its lease. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /** Creates statements as templates, which run on the connection when they are awaited. */
  get sql(): SqlTag<ConnectionQueryOptions> {
    return this.#sql ??= createSql((text, values, options) => this.query(text, values, options));
  }

  /**
   * Runs a statement.
   *
   * @param values The values of `$1`, `$2` and so on.
   * @throws {PostgresError} what the server reported.
   * @throws {QueryTimeoutError} when it took too long.
   * @throws {ConnectionLostError} when the connection broke while it ran.
   * @throws {ConnectionBrokenError} when the connection had broken before.
   * @throws {TransactionOpenError} while {@linkcode transaction} runs on the connection.
   * @throws {LeaseReleasedError} after the release.
   */
  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: ConnectionQueryOptions = {},
  ): Promise<QueryResult<R>> {
    const statement = statementOf(text, values, options);
    return await this.#executor.queryOn(this.#lease.resource, statement, options) as QueryResult<R>;
  }

  /**
   * Runs a function in a transaction on this connection; see the manager's `transaction`.
   *
   * @throws {TransactionOpenError} while another one is open on it.
   */
  async transaction<T>(
    work: TransactionWork<T>,
    options: Omit<TransactionOptions, "retries" | "lane" | "acquireTimeoutMs"> = {},
  ): Promise<T> {
    return await this.#executor.transactionOn(this.#lease.resource, work, options);
  }

  /**
   * Releases the connection.
   *
   * @param broken `true`, or the error that shows it, to close the connection instead of parking it. Default: `false`.
   * @throws {DoubleReleaseError} when it was released already.
   */
  release(broken: boolean | Error = false): void {
    this.#lease.release({ destroy: broken !== false });
  }

  /** Releases the connection, unless it was released. */
  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]();
  }

  /** Releases the connection, unless it was released. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#lease[Symbol.asyncDispose]();
  }
}
