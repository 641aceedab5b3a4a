/**
 * Kysely on pooled connections.
 *
 * @module
 */
import {
  type Dialect,
  type Driver,
  type InflightQueryAbortStrategy,
  Kysely,
  type KyselyPlugin,
  Log,
  type LogConfig,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { PooledConnection } from "./connection.ts";
import { type DriverOptions, PooledDriver } from "./driver.ts";
import { PooledExecutor } from "./executor.ts";
import type { KyselySource, Statements } from "./source.ts";

/** Tables whose columns are not known: any name compiles, and values are unknown. */
export type UntypedTables = Record<string, Record<string, unknown>>;

/** Options of {@linkcode kyselyOf}. */
export interface KyselyOfOptions extends DriverOptions {
  /** Plugins of Kysely. Default: none. */
  readonly plugins?: readonly KyselyPlugin[] | undefined;
  /** The levels to log, or a function that logs. Parameters are in what is logged. Default: nothing is logged. */
  readonly log?: LogConfig | undefined;
  /**
   * The effect of a signal on a running statement: it is canceled at the server, or runs on while its caller goes on.
   * Default: `cancel query`. Kysely's third strategy, `kill session`, is rejected.
   */
  readonly inflightQueryAbortStrategy?: Exclude<InflightQueryAbortStrategy, "kill session"> | undefined;
}

/**
 * A dialect for `new Kysely({ dialect })`, where something else creates the instance. {@linkcode kyselyOf} is faster: it
 * leases no connection for a single statement. Here, Kysely's default for signals holds, which is to let a running
 * statement run on.
 *
 * `destroy()` does not shut the manager down.
 *
 * @example An instance that a library creates
 * ```ts
 * const db = new Kysely({ dialect: new PooledPostgresDialect(manager) });
 * console.log(await db.introspection.getTables());
 * ```
 */
export class PooledPostgresDialect implements Dialect {
  readonly #source: KyselySource;
  readonly #options: DriverOptions;

  /**
   * Creates the dialect.
   *
   * @param source What statements run on: a manager, or `manager.as(caller)`.
   * @param options Options of every statement and transaction.
   */
  constructor(source: KyselySource, options: DriverOptions = {}) {
    this.#source = source;
    this.#options = options;
  }

  /** Creates the driver. */
  createDriver(): Driver {
    return new PooledDriver(this.#source as Statements, this.#options);
  }

  /** Creates the compiler, which is Kysely's own. */
  createQueryCompiler(): PostgresQueryCompiler {
    return new PostgresQueryCompiler();
  }

  /** Creates the adapter, which is Kysely's own. */
  createAdapter(): PostgresAdapter {
    return new PostgresAdapter();
  }

  /** Creates the introspector, which is Kysely's own. */
  createIntrospector(db: Kysely<UntypedTables>): PostgresIntrospector {
    return new PostgresIntrospector(db);
  }
}

/**
 * Returns Kysely on pooled connections: typed SQL as the login role, or as a caller.
 *
 * A single statement takes one round trip, and shares connections as `query` of the manager does. `transaction()`,
 * `startTransaction()`, `connection()` and streams lease a connection. An aborted signal cancels the running statement
 * at the server. Errors are those of the manager.
 *
 * `destroy()` ends the instance, and never shuts the source down.
 *
 * @typeParam Tables The tables, as Kysely has them: see `TablesOf`.
 * @param source A manager, `manager.as(caller)`, a leased connection, or a transaction, whose statements it joins.
 *
 * @example As the login role, and as a caller
 * ```ts
 * type Tables = { posts: { id: number; title: string } };
 * const claims = { sub: "8a3c...", role: "authenticated", exp: 1_900_000_000 };
 * const db = kyselyOf<Tables>(manager.as({ claims }));
 * const posts = await db.selectFrom("posts").select(["id", "title"]).where("id", ">", 10).execute();
 * console.log(posts[0]?.title, await kyselyOf<Tables>(manager).selectFrom("posts").selectAll().execute());
 * ```
 *
 * @example A transaction that is retried after a serialization failure
 * ```ts
 * type Tables = { accounts: { id: number; balance: number } };
 * await manager.transaction(async (tx) => {
 *   const db = kyselyOf<Tables>(tx);
 *   await db.updateTable("accounts").set({ balance: 0 }).where("id", "=", 1).execute();
 * }, { isolationLevel: "serializable", retries: 5 });
 * ```
 */
export function kyselyOf<Tables = UntypedTables>(source: KyselySource, options: KyselyOfOptions = {}): Kysely<Tables> {
  const { plugins = [], log, inflightQueryAbortStrategy: abortStrategy = "cancel query" } = options;
  const statements = source as Statements;
  const dialect = new PooledPostgresDialect(source, options);
  const logger = log === undefined ? undefined : new Log(log);
  const driver = new PooledDriver(statements, options, logger);
  // Without a lease, it runs each statement on any connection.
  const anywhere = new PooledConnection(statements, undefined, options.statements, logger);
  const executor = new PooledExecutor({
    compiler: dialect.createQueryCompiler(),
    adapter: dialect.createAdapter(),
    connections: driver,
    runAnywhere: (query, signal) => {
      driver.check();
      return anywhere.run(query, signal);
    },
    abortStrategy,
  }, plugins);
  return new Kysely<Tables>({ config: { dialect, plugins: [...plugins] }, dialect, driver, executor });
}
