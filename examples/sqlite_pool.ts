/**
 * Connections to a SQLite database (`node:sqlite`), pooled by the core that also pools Supabase clients. A broken
 * connection is closed and replaced; transactions nest by savepoints.
 *
 * @module
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";
import { type AcquireOptions, type PoolConfig, ResourcePool } from "../shared/pool/mod.ts";

/** The time that a statement waits for the lock of another connection, in ms. */
export const BUSY_TIMEOUT_MS = 3_000;

/** Matches the errors of SQLite for a broken connection or file (sqlite.org/rescode.html). */
const BROKEN = /disk I\/O error|malformed|not a database|unable to open|database is not open/;

/** One connection. */
export class SqliteConnection {
  readonly #db: DatabaseSync;
  #depth = 0;

  /** Opens the database at `path`. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    try {
      this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The rows a statement yields. */
  all(sql: string, ...values: SQLInputValue[]): Record<string, SQLOutputValue>[] {
    return this.#db.prepare(sql).all(...values);
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }

  /** Runs `work`, which is synchronous, in a transaction or, inside one, in a savepoint: a throw undoes what it did. */
  transaction<R>(work: () => R): R {
    const name = `level_${this.#depth}`;
    this.#db.exec(this.#depth === 0 ? "BEGIN IMMEDIATE" : `SAVEPOINT ${name}`);
    this.#depth++;
    try {
      const result = work();
      if (result instanceof Promise) result.catch(() => {}); // what it says comes too late
      if (result instanceof Promise) throw new TypeError("work must be synchronous: it would outlive its transaction");
      this.#db.exec(this.#depth === 1 ? "COMMIT" : `RELEASE ${name}`);
      return result;
    } catch (error) {
      // SQLite ends the transaction by itself after some errors; a broken connection cannot even be asked.
      if (this.#db.isOpen && this.#db.isTransaction) {
        this.#db.exec(this.#depth === 1 ? "ROLLBACK" : `ROLLBACK TO ${name}; RELEASE ${name}`);
      }
      throw error;
    } finally {
      this.#depth--;
    }
  }

  /** Undoes what a holder left open. */
  reset(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
  }

  /** Closes the connection. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

/** A pool of connections to one database. */
export class SqlitePool extends ResourcePool<SqliteConnection> implements AsyncDisposable {
  constructor(path: string, config?: Partial<PoolConfig>) {
    super({
      create: () => new SqliteConnection(path),
      validate: (connection) => connection.all("SELECT 1").length === 1,
      reset: (connection) => connection.reset(),
      destroy: (connection) => connection.close(),
    }, config);
  }

  /** Runs `work` with a leased connection. A broken connection is closed and never leased again. */
  async use<R>(work: (db: SqliteConnection) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
    await using lease = await this.lease(options);
    try {
      return await work(lease.resource);
    } catch (error) {
      if (lease.active && error instanceof Error && BROKEN.test(error.message)) lease.release({ destroy: true });
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
