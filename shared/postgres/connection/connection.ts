/**
 * A connection, as its holder has it.
 *
 * @module
 */
import type { Lease } from "../../pool/mod.ts";
import type { Executor, TransactionWork } from "../query/executor.ts";
import { runPlain } from "../query/plain_statement.ts";
import { type QueryOptions, timeoutOf, type TransactionOptions } from "../query/query_options.ts";
import type { QueryResult, Row } from "../wire/query_result.ts";
import type { Session } from "./session.ts";
import type { RunnerSettings } from "../query/statement_runner.ts";

/**
 * A connection that its holder has alone until it is released.
 *
 * ```ts
 * await using connection = await manager.lease();
 * await connection.query("SET statement_timeout = '5s'");
 * await connection.query("SELECT …");
 * ```
 *
 * What was set on it, and what is unfinished, is cleared before anybody else has it.
 */
export class PostgresConnection implements Disposable, AsyncDisposable {
  readonly #lease: Lease<Session>;
  readonly #executor: Executor;
  readonly #settings: RunnerSettings;
  readonly #queryTimeoutMs: number;

  /** For the manager: connections are had with its `lease` or `connect`. */
  constructor(lease: Lease<Session>, executor: Executor, settings: RunnerSettings, queryTimeoutMs: number) {
    this.#lease = lease;
    this.#executor = executor;
    this.#settings = settings;
    this.#queryTimeoutMs = queryTimeoutMs;
  }

  /** Aborts when the connection dies, or when the manager's shutdown takes it back. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /**
   * Runs a statement.
   *
   * @throws {PostgresError} what the server reported.
   * @throws {QueryTimeoutError} when it took too long.
   * @throws {ConnectionLostError} when the connection broke while it ran.
   * @throws {ConnectionBrokenError} when it had broken before.
   * @throws {TransactionOpenError} while {@linkcode transaction} runs on it.
   * @throws {LeaseReleasedError} after the release.
   */
  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    { signal, timeoutMs }: Pick<QueryOptions, "signal" | "timeoutMs"> = {},
  ): Promise<QueryResult<R>> {
    const { resource } = this.#lease;
    const bounds = { signal, timeoutMs: timeoutOf(timeoutMs, this.#queryTimeoutMs) };
    return await runPlain(resource, this.#settings, { text, values }, bounds) as QueryResult<R>;
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
   * Gives it back.
   *
   * @param broken `true`, or the error that shows it: the connection is closed and lent to nobody else.
   * @throws {DoubleReleaseError} when it was released already.
   */
  release(broken: boolean | Error = false): void {
    this.#lease.release({ destroy: broken !== false });
  }

  /** {@linkcode release}, unless it was released. */
  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]();
  }

  /** {@linkcode release}, unless it was released. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#lease[Symbol.asyncDispose]();
  }
}
