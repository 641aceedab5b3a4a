/**
 * The driver: connections and transactions for Kysely, from a pool.
 *
 * @module
 */
import type {
  AbortableOperationOptions,
  ConnectionProvider,
  DatabaseConnection,
  Driver,
  IsolationLevel as KyselyIsolationLevel,
  Log,
  TransactionSettings,
} from "kysely";
import { AcquireAbortedError } from "../../pool/mod.ts";
import { type IsolationLevel, PostgresConnection, Transaction } from "../../postgres/mod.ts";
import { PooledConnection } from "./connection.ts";
import { KyselyDestroyedError, KyselyUnsupportedError } from "./errors.ts";
import { type KyselyStatementOptions, type KyselyTransactionOptions, reasonOf, type Statements } from "./source.ts";

/** Options of a driver. */
export interface DriverOptions {
  /** Options of every statement. Default: those of the source. */
  readonly statements?: KyselyStatementOptions | undefined;
  /** Options of every transaction. Default: those of the source. */
  readonly transactions?: KyselyTransactionOptions | undefined;
}

/** `read uncommitted` is `read committed` in Postgres ("Transaction Isolation"). */
function isolationOf(level: KyselyIsolationLevel): IsolationLevel {
  if (level === "snapshot") {
    throw new KyselyUnsupportedError('Cannot begin a transaction at level "snapshot": use "repeatable read"');
  }
  return level === "read uncommitted" ? "read committed" : level;
}

/** Leases a connection for everything that needs one: transactions, `connection()` and streams. */
export class PooledDriver implements Driver, ConnectionProvider {
  readonly #source: Statements;
  readonly #options: DriverOptions;
  readonly #log: Log | undefined;
  #destroyed = false;

  /** @param log Logs statements and commands. Default: what Kysely adds to connections. */
  constructor(source: Statements, options: DriverOptions = {}, log?: Log) {
    this.#source = source;
    this.#options = options;
    this.#log = log;
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {KyselyDestroyedError} after {@linkcode destroy}. */
  check(): void {
    if (this.#destroyed) throw new KyselyDestroyedError();
  }

  async acquireConnection(options?: AbortableOperationOptions): Promise<PooledConnection> {
    this.check();
    const { statements } = this.#options;
    if (!this.#source.lease) {
      const hasSession = this.#source instanceof Transaction || this.#source instanceof PostgresConnection;
      return new PooledConnection(this.#source, undefined, statements, this.#log, hasSession);
    }
    const { lane, acquireTimeoutMs } = statements ?? {};
    const signal = options?.signal;
    if (!signal) {
      const lease = await this.#source.lease({ lane, acquireTimeoutMs });
      return new PooledConnection(lease, lease, statements, this.#log);
    }
    if (signal.aborted) throw reasonOf(signal, "before acquireConnection:acquire");
    // The signal aborts the wait alone: Kysely decides what it does to statements.
    const waiting = new AbortController();
    const onAbort = () => waiting.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const lease = await this.#source.lease({ signal: waiting.signal, lane, acquireTimeoutMs });
      return new PooledConnection(lease, lease, statements, this.#log);
    } catch (error) {
      throw error instanceof AcquireAbortedError ? error.cause : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    (connection as PooledConnection).release();
    return Promise.resolve();
  }

  /** Leases a connection for as long as `consumer` runs. */
  async provideConnection<T>(
    consumer: (connection: DatabaseConnection) => Promise<T>,
    options?: AbortableOperationOptions,
  ): Promise<T> {
    const connection = await this.acquireConnection(options);
    try {
      return await consumer(connection);
    } finally {
      connection.release();
    }
  }

  async beginTransaction(
    connection: DatabaseConnection,
    { isolationLevel, accessMode }: TransactionSettings,
  ): Promise<void> {
    const pooled = connection as PooledConnection;
    const level = isolationLevel && ` isolation level ${isolationLevel}`;
    const text = `${level || accessMode ? "start transaction" : "begin"}${level ?? ""}${
      accessMode ? ` ${accessMode}` : ""
    }`;
    await pooled.command(text, () =>
      pooled.begin({
        ...this.#options.transactions,
        ...(isolationLevel && { isolationLevel: isolationOf(isolationLevel) }),
        ...(accessMode && { readOnly: accessMode === "read only" }),
      }));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const pooled = connection as PooledConnection;
    await pooled.command("commit", () => pooled.commit());
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const pooled = connection as PooledConnection;
    await pooled.command("rollback", () => pooled.rollback());
  }

  async savepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as PooledConnection).savepoint("savepoint", name);
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as PooledConnection).savepoint("rollback to", name);
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as PooledConnection).savepoint("release", name);
  }

  /** Makes every later statement fail. The source belongs to its creator, and is not shut down. */
  destroy(): Promise<void> {
    this.#destroyed = true;
    return Promise.resolve();
  }
}
