/**
 * The facade of a database: statements, the query builder, the cache and transactions that statements join.
 *
 * @module
 */
import { type CacheView, getCache, LayeredCache } from "../../cache/mod.ts";
import { ConfigError } from "../../pool/mod.ts";
import {
  type Caller,
  CallerError,
  createSql,
  type PostgresPool,
  type PostgresQueries,
  type QueryOptions,
  type ResultRows,
  type Row,
  type SqlTag,
  toRows,
  type TransactionOptions,
  type TransactionWork,
  type WorkOptions,
} from "../../postgres/mod.ts";
import { createQueryBuilder, type QueryBuilder } from "../query_builder/query_builder.ts";
import type { UntypedTables } from "../kysely/kysely_of.ts";
import { JoinedQueries } from "./joined_queries.ts";

/** A pool that can act for callers: a `PostgresConnectionManager`. */
interface PoolOfCallers extends PostgresPool {
  as(caller: Caller, work?: WorkOptions): PostgresPool;
}

/** Returns whether a pool can act for callers. */
function actsForCallers(pool: PostgresPool): pool is PoolOfCallers {
  return "as" in pool && typeof pool.as === "function";
}

/** Options of {@linkcode ConnectionWrapper}. */
export interface ConnectionWrapperOptions {
  /**
   * Returns the cache; called at each use. Default: the cache of the isolate, for a pool that acts as the login role. One
   * that acts for a caller has none: pass `() => getCache().forUser(ctx)`.
   */
  readonly cache?: (() => CacheView) | undefined;
}

/** Returns the part of a cache that is the caller's own; of the cache of the isolate, if a view of one has no parts. */
function cacheOf(cache: CacheView, caller: Caller): CacheView {
  const jwtClaims = caller === "anonymous" ? null : caller.claims;
  const whole = cache instanceof LayeredCache ? cache : getCache();
  return whole.forUser({ jwtClaims, authMode: jwtClaims ? "user" : "publishable" });
}

/**
 * A database, as an application uses it. Inside {@linkcode withTransaction} everything that runs on it is part of the
 * transaction, whichever function it is in.
 *
 * `db` is the one of this isolate, as the login role. `db.as(caller)`, or a wrapper of `ctx.postgres`, acts for a caller.
 *
 * @example A transaction across functions
 * ```ts
 * const db = new ConnectionWrapper(manager);
 *
 * const addUser = (name: string) => db.query("INSERT INTO users (name) VALUES ($1)", [name]);
 *
 * await db.withTransaction(async () => {
 *   await addUser("John");
 *   await db.query("INSERT INTO profiles (user_id, bio) VALUES ($1, $2)", [1, "Hello"]);
 * });
 * ```
 */
export class ConnectionWrapper {
  readonly #pool: () => PostgresPool;
  readonly #queries: JoinedQueries;
  readonly #cache: (() => CacheView) | undefined;
  #sql: SqlTag | undefined = undefined;

  /**
   * Creates a wrapper.
   *
   * @param pool The pool, or a function that returns it, which is called at each use.
   */
  constructor(pool: PostgresPool | (() => PostgresPool), { cache }: ConnectionWrapperOptions = {}) {
    this.#pool = typeof pool === "function" ? pool : () => pool;
    this.#queries = new JoinedQueries(this.#pool);
    this.#cache = cache;
  }

  /**
   * Runs one statement, in the transaction in whose {@linkcode withTransaction} it is called, or in one of its own.
   *
   * @param values The values of `$1`, `$2` and so on. Never put values into the text.
   * @returns The rows: an array, which has `rowCount` and the other members of a result, too.
   * @throws {TransactionEndedError} when it was started in a transaction that has ended.
   * @throws what `query` of `PostgresConnectionManager` throws.
   *
   * @example Rows
   * ```ts
   * const db = new ConnectionWrapper(manager);
   * const users = await db.query<{ name: string }>("SELECT name FROM users WHERE active = $1", [true]);
   * console.log(users.length, users[0]?.name);
   * ```
   */
  async query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<ResultRows<R>> {
    return toRows(await this.#queries.query<R>(text, values, options));
  }

  /** Creates statements as templates, which join the transaction in whose function they are awaited. */
  get sql(): SqlTag {
    return this.#sql ??= createSql((text, values, options) => this.#queries.query(text, values, options));
  }

  /**
   * Returns a query builder, whose queries join the transaction in whose {@linkcode withTransaction} they run.
   *
   * @typeParam Tables The tables, as Kysely has them: see `TablesOf`. Default: any table, whose values are unknown.
   *
   * @example The latest posts of a user
   * ```ts
   * const db = new ConnectionWrapper(manager);
   * const posts = await db
   *   .getQueryBuilder()
   *   .from("posts")
   *   .where("user_id", "=", 1)
   *   .orderBy("created_at", "DESC")
   *   .limit(10)
   *   .get();
   * console.log(posts);
   * ```
   */
  getQueryBuilder<Tables = UntypedTables>(): QueryBuilder<Tables> {
    return createQueryBuilder<Tables>({ query: (...args) => this.#queries.query(...args) });
  }

  /** The statements of the database, in the transaction around them; for `kyselyOf(db.queries)`. */
  get queries(): PostgresQueries {
    return this.#queries;
  }

  /**
   * Runs `work` in a transaction, which everything that it runs on this wrapper joins; returning commits, throwing rolls
   * back. Inside another one of the same pool and caller it is a savepoint: its failure undoes only what it did.
   *
   * What `work` starts and does not await is rejected once the transaction has ended. Nested transactions run one after
   * the other: two at once are rejected with `NESTED_TRANSACTION_OPEN`.
   *
   * @param options Isolation level, time limit, retries and so on, of the outermost transaction.
   * @throws what `work` throws, and what `transaction` of `PostgresConnectionManager` throws.
   * @throws {ConfigError} when a nested transaction has such options.
   */
  withTransaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T> {
    return this.#queries.transaction(work, options);
  }

  /**
   * Returns the cache: that of the isolate, with Redis if `REDIS_URL` is set; for a caller, the part that no other caller
   * reads. It is not part of transactions: do not fill it inside of one, with rows that may be rolled back.
   *
   * @throws {ConfigError} when the wrapper was created for a caller, without a cache.
   */
  getCache(): CacheView {
    if (this.#cache) return this.#cache();
    if (actsForCallers(this.#pool())) return getCache();
    const message = "must be set where the pool acts for one caller: pass { cache: () => getCache().forUser(ctx) }";
    throw new ConfigError([{ path: "cache", message }], "options of ConnectionWrapper");
  }

  /**
   * Returns the database as a caller uses it, with row-level security; see `PostgresConnectionManager.as`.
   *
   * @throws {CallerError} when the claims do not identify a user, or this wrapper acts for a caller already.
   */
  as(caller: Caller, work?: WorkOptions): ConnectionWrapper {
    const pool = this.#pool();
    if (!actsForCallers(pool)) {
      throw new CallerError("Cannot act for another caller: this database acts for one already");
    }
    return new ConnectionWrapper(pool.as(caller, work), { cache: () => cacheOf(this.getCache(), caller) });
  }
}
