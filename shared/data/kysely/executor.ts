/**
 * Runs statements of Kysely without leasing a connection first.
 *
 * @module
 */
import {
  type AbortableOperationOptions,
  type AbortableQueryOptions,
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type DialectAdapter,
  type InflightQueryAbortStrategy,
  type KyselyPlugin,
  type QueryCompiler,
  type QueryResult,
} from "kysely";
import { abortable } from "@std/async/abortable";
import { runInContext } from "../../postgres/mod.ts";
import type { PooledConnection } from "./connection.ts";
import { KyselyUnsupportedError } from "./errors.ts";
import { reasonOf } from "./source.ts";

/** Runs one statement. */
export type RunStatement = <R>(query: CompiledQuery, signal?: AbortSignal) => Promise<QueryResult<R>>;

/** The dependencies of an executor. */
export interface ExecutorParts {
  readonly compiler: QueryCompiler;
  readonly adapter: DialectAdapter;
  /** Leases a connection for transactions, `connection()` and streams; or provides the one that is in use. */
  readonly connections: ConnectionProvider;
  /** Runs a statement on any connection. `undefined` inside a transaction or `connection()`, which have their own. */
  readonly runAnywhere: RunStatement | undefined;
  /** The strategy of statements whose options name none. */
  readonly abortStrategy: InflightQueryAbortStrategy;
}

/**
 * Runs single statements by the manager's `query`, which shares connections between callers, where Kysely's own executor
 * would lease a connection, run the statement, and release it.
 */
export class PooledExecutor extends DefaultQueryExecutor {
  readonly #parts: ExecutorParts;

  constructor(parts: ExecutorParts, plugins: readonly KyselyPlugin[] = []) {
    super(parts.compiler, parts.adapter, parts.connections, [...plugins]);
    this.#parts = parts;
  }

  override async executeQuery<R>(query: CompiledQuery, options?: AbortableQueryOptions): Promise<QueryResult<R>> {
    const signal = options?.signal;
    const result = signal
      ? await this.#runAbortable<R>(query, signal, options.inflightQueryAbortStrategy ?? this.#parts.abortStrategy)
      : await this.#run<R>(query);
    return this.plugins.length === 0 ? result : await this.#transform(query, result, signal);
  }

  /**
   * Provides a connection to `consumer`: to the function of a transaction, or of `connection()`. A transaction that Kysely
   * begins on it is the one that this function is in.
   */
  override provideConnection<T>(
    consumer: (connection: DatabaseConnection) => Promise<T>,
    options?: AbortableOperationOptions,
  ): Promise<T> {
    return super.provideConnection(
      (connection) => runInContext((context) => consumer((connection as PooledConnection).forFunction(context))),
      options,
    );
  }

  /**
   * Yields the rows of a statement in chunks. In a transaction, Kysely would let no other statement run until the end of
   * a stream; here they take turns, also with other streams.
   */
  override async *stream<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    if (this.#parts.runAnywhere) return yield* super.stream<R>(query, chunkSize, options);
    const signal = options?.signal;
    if (signal?.aborted) throw reasonOf(signal, "before connection acquisition");
    const connection = await super.provideConnection((connection) => Promise.resolve(connection));
    try {
      for await (const result of connection.streamQuery<R>(query, chunkSize, { signal })) {
        yield await this.#transform(query, result, signal);
        if (signal?.aborted) throw signal.reason;
      }
    } catch (error) {
      throw signal?.aborted && error === signal.reason ? reasonOf(signal, "during query streaming") : error;
    }
  }

  override withPlugins(plugins: readonly KyselyPlugin[]): PooledExecutor {
    return new PooledExecutor(this.#parts, [...this.plugins, ...plugins]);
  }

  override withPlugin(plugin: KyselyPlugin): PooledExecutor {
    return new PooledExecutor(this.#parts, [...this.plugins, plugin]);
  }

  override withPluginAtFront(plugin: KyselyPlugin): PooledExecutor {
    return new PooledExecutor(this.#parts, [plugin, ...this.plugins]);
  }

  override withoutPlugins(): PooledExecutor {
    return new PooledExecutor(this.#parts);
  }

  /** Returns an executor whose statements run on the connection that `connections` provides. */
  override withConnectionProvider(connections: ConnectionProvider): PooledExecutor {
    return new PooledExecutor({ ...this.#parts, connections, runAnywhere: undefined }, this.plugins);
  }

  async #transform<R>(
    { queryId }: CompiledQuery,
    result: QueryResult<R>,
    signal: AbortSignal | undefined,
  ): Promise<QueryResult<R>> {
    for (const plugin of this.plugins) {
      const args = { queryId, result: result as QueryResult<Record<string, unknown>>, signal };
      result = await plugin.transformResult(args) as QueryResult<R>;
      if (signal?.aborted) throw reasonOf(signal, "during result transformation");
    }
    return result;
  }

  async #runAbortable<R>(
    query: CompiledQuery,
    signal: AbortSignal,
    strategy: InflightQueryAbortStrategy,
  ): Promise<QueryResult<R>> {
    if (strategy !== "cancel query" && strategy !== "ignore query") {
      throw new KyselyUnsupportedError(`Cannot abort with "${strategy}": use "cancel query", which ends the statement`);
    }
    if (signal.aborted) throw reasonOf(signal, "before query execution");
    try {
      return strategy === "cancel query"
        ? await this.#run<R>(query, signal)
        : await abortable(this.#run<R>(query), signal);
    } catch (error) {
      throw signal.aborted && error === signal.reason ? reasonOf(signal, "during query execution") : error;
    }
  }

  #run<R>(query: CompiledQuery, signal?: AbortSignal): Promise<QueryResult<R>> {
    const { runAnywhere } = this.#parts;
    if (runAnywhere) return runAnywhere<R>(query, signal);
    if (signal) return this.#runInTurn<R>(query, signal);
    return super.provideConnection((connection) => (connection as PooledConnection).run<R>(query));
  }

  /** Runs a statement behind the others of its connection. The signal ends the wait for them, too. */
  async #runInTurn<R>(query: CompiledQuery, signal: AbortSignal): Promise<QueryResult<R>> {
    const turn = Promise.withResolvers<void>();
    const running = super.provideConnection((connection) => {
      turn.resolve();
      return (connection as PooledConnection).run<R>(query, signal);
    });
    await abortable(Promise.race([turn.promise, running]), signal);
    return await running;
  }
}
