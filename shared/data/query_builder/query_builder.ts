/**
 * The entry to the query builder.
 *
 * @module
 */
import { PostgresConnectionManager } from "../../postgres/mod.ts";
import type { UntypedTables } from "../kysely/kysely_of.ts";
import { createTableQuery, type TableQuery } from "./table_query.ts";
import type { QuerySource, RowOf, TableName } from "./types.ts";

/** The source of query builders that have none of their own. */
let defaultSource: () => QuerySource = () => PostgresConnectionManager.getInstance();

/** Sets the source of query builders that have none of their own. */
export function setDefaultSource(source: () => QuerySource): void {
  defaultSource = source;
}

/**
 * Builds and runs queries. A thin layer on Kysely's compiler, for queries on one table and joins by equality; for
 * anything else there is `kyselyOf`.
 *
 * @typeParam Tables The tables, as Kysely has them: see `TablesOf`. Default: any table, whose values are unknown.
 *
 * @example Rows, a page, and changes
 * ```ts
 * const users = new QueryBuilder(manager).from("users");
 * const rows = await users.select("id", "name").where("active", "=", true).orderBy("created_at", "DESC").limit(10).get();
 * const page = await users.orderBy("created_at", "DESC").paginate({ limit: 20 });
 * const renamed = await users.where("id", "=", 1).update({ name: "John Doe" });
 * console.log(rows, page.next, renamed);
 * ```
 */
export class QueryBuilder<Tables = UntypedTables> {
  readonly #source: () => QuerySource;

  /**
   * Creates a query builder.
   *
   * @param queries The manager, `manager.as(caller)`, transaction or connection that runs the statements, or a function
   * that returns it at each statement. Default: `db` once `initializeDatabase()` was called, and
   * `PostgresConnectionManager.getInstance()` where it is not.
   */
  constructor(queries: QuerySource | (() => QuerySource) = () => defaultSource()) {
    this.#source = typeof queries === "function" ? queries : () => queries;
  }

  /**
   * Begins a query on a table: `name`, or `schema.name`.
   *
   * @throws {InvalidQueryError} when Postgres cannot have such a name.
   */
  from<Name extends TableName<Tables>>(table: Name): TableQuery<Tables, Name, Name, RowOf<Tables, Name>> {
    return createTableQuery<Tables, Name>(this.#source, table);
  }
}

/**
 * Creates a {@linkcode QueryBuilder}.
 *
 * @param queries See its constructor. Default: `db`, or the manager of this isolate.
 *
 * @example As the caller of a request
 * ```ts
 * const claims = { sub: "8a3c...", role: "authenticated", exp: 1_900_000_000 };
 * const qb = createQueryBuilder(manager.as({ claims }));
 * console.log(await qb.from("posts").where("user_id", "=", claims.sub).count());
 * ```
 */
export function createQueryBuilder<Tables = UntypedTables>(
  queries?: QuerySource | (() => QuerySource),
): QueryBuilder<Tables> {
  return new QueryBuilder<Tables>(queries);
}
