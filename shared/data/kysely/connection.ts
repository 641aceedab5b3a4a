/**
 * A connection, as Kysely uses it.
 *
 * @module
 */
import {
  type AbortableOperationOptions,
  CompiledQuery,
  type DatabaseConnection,
  type Log,
  type QueryResult,
} from "kysely";
import { ConfigError } from "../../pool/mod.ts";
import {
  CommitOutcomeUnknownError,
  type PostgresConnection,
  Transaction,
  type TransactionContext,
  TransactionEndedError,
} from "../../postgres/mod.ts";
import { KyselyUnsupportedError } from "./errors.ts";
import { OpenTransaction } from "./open_transaction.ts";
import {
  isReadByCursor,
  type KyselyStatementOptions,
  type KyselyTransactionOptions,
  type Statements,
  toKyselyResult,
  withCallersStack,
} from "./source.ts";

/** Kysely takes an error with this property for a transaction that has ended without a commit. */
const ABORTED = Symbol.for("kysely.AbortedTransactionError");

/** The most rows that FETCH takes. */
const MAX_CHUNK = 0x7fff_ffff;

/** The number of cursors so far: those of one transaction need different names. */
let cursors = 0;

/** A leased connection, or a transaction, for the time that Kysely holds it. */
export class PooledConnection implements DatabaseConnection {
  readonly #statements: Statements;
  readonly #lease: PostgresConnection | undefined;
  readonly #options: KyselyStatementOptions | undefined;
  readonly #log: Log | undefined;
  readonly #hasSession: boolean;
  /** The context of the function that this is for, and the transaction that begins on it. */
  #context: TransactionContext | undefined = undefined;
  #transaction: OpenTransaction | undefined = undefined;
  /** True once the transaction of the function that this is for has ended: what runs later would run outside of it. */
  #isSpent = false;
  /** Cancels what {@linkcode executeQuery} runs. */
  #cancel: AbortController | undefined = undefined;
  /** The command that {@linkcode executeQuery} performs. */
  #command: { readonly query: CompiledQuery; readonly perform: () => Promise<void> } | undefined = undefined;

  /**
   * @param statements The lease, or what runs statements without one.
   * @param lease Released with the connection. Default: none.
   * @param log Logs what {@linkcode run} runs. Default: what Kysely adds to {@linkcode executeQuery}.
   * @param hasSession False if statements outside a transaction may run on different connections, and are rejected: what
   * asked for one connection would not get it. Default: true.
   */
  constructor(
    statements: Statements,
    lease: PostgresConnection | undefined,
    options?: KyselyStatementOptions,
    log?: Log,
    hasSession = true,
  ) {
    this.#statements = statements;
    this.#lease = lease;
    this.#options = options;
    this.#log = log;
    this.#hasSession = hasSession;
  }

  /** Returns it for one function of Kysely, whose late statements must not run behind the end of its transaction. */
  forFunction(context: TransactionContext): PooledConnection {
    // A statement or a command of its transaction.
    if (this.#transaction || this.#isSpent) return this;
    const own = new PooledConnection(this.#statements, this.#lease, this.#options, this.#log, this.#hasSession);
    own.#context = context;
    return own;
  }

  /** The source that statements run on now. */
  get #current(): Pick<Statements, "query"> {
    if (this.#isSpent) throw new TransactionEndedError();
    return this.#transaction ?? this.#statements;
  }

  /**
   * Runs a statement.
   *
   * @throws {TransactionEndedError} when the transaction of its function has ended.
   * @throws what `query` of the source throws.
   */
  run<R>(query: CompiledQuery, signal?: AbortSignal): Promise<QueryResult<R>> {
    return this.#log ? this.#logged(this.#log, query, () => this.#run<R>(query, signal)) : this.#run<R>(query, signal);
  }

  async #logged<T>(log: Log, query: CompiledQuery, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const queryDurationMillis = () => performance.now() - startedAt;
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await log.error(() => ({ level: "error", error, query, queryDurationMillis: queryDurationMillis() }));
      throw error;
    }
    await log.query(() => ({ level: "query", query, queryDurationMillis: queryDurationMillis() }));
    return result;
  }

  async #run<R>({ sql, parameters }: CompiledQuery, signal: AbortSignal | undefined): Promise<QueryResult<R>> {
    const current = this.#current;
    if (!this.#hasSession && !this.#transaction) {
      throw new KyselyUnsupportedError("Cannot keep one connection: use kyselyOf(manager), which can lease one");
    }
    const options = signal ? { ...this.#options, signal } : this.#options;
    try {
      return toKyselyResult<R>(await current.query(sql, parameters, options));
    } catch (error) {
      throw signal?.aborted && error === signal.reason ? error : withCallersStack(error);
    }
  }

  /** {@linkcode run}s a statement. Kysely decides what its signal does: see {@linkcode cancelQuery}. */
  async executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    if (this.#command?.query === query) {
      await this.#command.perform();
      return { rows: [] };
    }
    if (!options?.signal) return await this.run(query);
    const cancel = this.#cancel = new AbortController();
    try {
      return await this.run(query, cancel.signal);
    } finally {
      // A statement that Kysely no longer waits for may end while the next one runs.
      if (this.#cancel === cancel) this.#cancel = undefined;
    }
  }

  /** Performs a command of transactions, which logs show as the statement that Kysely would send. */
  async command(text: string, perform: () => Promise<void>): Promise<void> {
    const query = CompiledQuery.raw(text);
    if (this.#log) return await this.#logged(this.#log, query, perform);
    this.#command = { query, perform };
    // Kysely's log replaces it.
    await this.executeQuery(query);
  }

  /** Cancels what {@linkcode executeQuery} runs, by the protocol: no connection of the pool is used for that. */
  cancelQuery(): Promise<void> {
    this.#cancel?.abort(new DOMException("The statement was canceled", "AbortError"));
    return Promise.resolve();
  }

  /**
   * Yields the rows of a statement in chunks, read by a cursor in a transaction. The rows of a statement that changes
   * rows are read at once, as the server computes them.
   *
   * A loop that is left early ends the transaction with a commit: what the rows read so far have changed stays. An error
   * rolls it back.
   *
   * @throws {ConfigError} when `chunkSize` is not a whole number above 0.
   * @throws what `query` of the source throws.
   */
  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    { signal }: AbortableOperationOptions = {},
  ): AsyncIterableIterator<QueryResult<R>> {
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1) {
      throw new ConfigError([{ path: "chunkSize", message: "must be a whole number above 0" }], "options of stream()");
    }
    if (!isReadByCursor(query)) {
      const { rows } = await this.run<R>(query, signal);
      for (let at = 0; at < rows.length; at += chunkSize) yield { rows: rows.slice(at, at + chunkSize) };
      return;
    }
    const current = this.#current;
    if (this.#transaction || this.#statements instanceof Transaction) {
      return yield* this.#fetch(current, query, chunkSize, signal);
    }
    const own = this.#transaction = await OpenTransaction.begin(this.#statements, {});
    let hasFailed = false;
    try {
      yield* this.#fetch(own, query, chunkSize, signal);
    } catch (error) {
      hasFailed = true;
      throw error;
    } finally {
      this.#transaction = undefined;
      await (hasFailed ? own.rollback() : own.commit());
    }
  }

  async *#fetch<R>(
    transaction: Pick<Statements, "query">,
    { sql, parameters }: CompiledQuery,
    chunkSize: number,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<QueryResult<R>> {
    const name = `kysely_${++cursors}`;
    // Neither is prepared: their texts differ from cursor to cursor.
    const options = { ...this.#options, prepare: false, signal };
    const count = Math.min(chunkSize, MAX_CHUNK);
    const fetch = () => transaction.query(`FETCH FORWARD ${count} FROM ${name}`, [], { prepare: false, signal });
    const close = () => transaction.query(`CLOSE ${name}`, [], { prepare: false });
    try {
      // Both are sent at once.
      const declared = transaction.query(`DECLARE ${name} NO SCROLL CURSOR FOR ${sql}`, parameters, options);
      let [, { rows }] = await Promise.all([declared, fetch()]);
      while (rows.length > 0) {
        yield { rows: rows as R[] };
        if (rows.length < chunkSize) break;
        ({ rows } = await fetch());
      }
    } catch (error) {
      throw signal?.aborted && error === signal.reason ? error : withCallersStack(error);
    } finally {
      // In a transaction that has failed it fails, and the cursor is closed already.
      await close().catch(() => {});
    }
  }

  /**
   * Begins a transaction.
   *
   * @throws {KyselyUnsupportedError} in a transaction that is open, and for modes of a nested one.
   */
  async begin(options: KyselyTransactionOptions): Promise<void> {
    if (this.#transaction && !this.#transaction.ended) {
      throw new KyselyUnsupportedError("Cannot begin a transaction in a transaction: use a savepoint");
    }
    const isNested = this.#statements instanceof Transaction;
    if (isNested && (options.isolationLevel !== undefined || options.readOnly !== undefined)) {
      throw new KyselyUnsupportedError("Cannot set the isolation level or access mode of a nested transaction");
    }
    const transaction = this.#transaction = await OpenTransaction.begin(this.#statements, options, this.#context);
    // A deadline has ended it, perhaps while its function waits for something else: the connection is free.
    void transaction.settled.then(() => {
      if (this.#transaction === transaction) this.#lease?.[Symbol.dispose]();
    });
  }

  /**
   * Commits.
   *
   * @throws {TransactionRolledBackError} when a statement failed and its error was caught.
   * @throws {CommitOutcomeUnknownError} when COMMIT was not answered.
   */
  async commit(): Promise<void> {
    const transaction = this.#endOfFunction();
    try {
      await transaction?.commit();
    } catch (error) {
      if (error instanceof CommitOutcomeUnknownError) this.release();
      // Kysely need not roll back, and releases the connection.
      // One that is frozen stays as it is.
      else if (error instanceof Error) Reflect.defineProperty(error, ABORTED, { value: true });
      throw withCallersStack(error);
    }
  }

  /** Rolls back. Does nothing if the transaction has ended. */
  async rollback(): Promise<void> {
    await this.#endOfFunction()?.rollback();
  }

  /** Returns the transaction, which is about to end. */
  #endOfFunction(): OpenTransaction | undefined {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    this.#isSpent = this.#context !== undefined;
    return transaction;
  }

  /**
   * Sets a savepoint, returns to it, or releases it.
   *
   * @param command `savepoint`, `rollback to` or `release`.
   * @throws {KyselyUnsupportedError} for a name that Postgres cannot have.
   */
  async savepoint(command: string, name: string): Promise<void> {
    if (typeof name !== "string" || name === "" || name.includes("\0")) {
      throw new KyselyUnsupportedError("Cannot name a savepoint: the name must be a string that is not empty");
    }
    const text = `${command} "${name.replaceAll('"', '""')}"`;
    await this.command(text, async () => {
      try {
        await this.#current.query(text, [], { prepare: false });
      } catch (error) {
        throw withCallersStack(error);
      }
    });
  }

  /** Releases the connection. Idempotent. */
  release(): void {
    this.#lease?.[Symbol.dispose]();
  }
}
