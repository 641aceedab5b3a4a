/**
 * The base class of repositories: the rows of one table, behind methods.
 *
 * @module
 */
import type { PostgresPool, PostgresQueries, Transaction, TransactionOptions } from "../../postgres/mod.ts";
import { ConnectionWrapper } from "../database/connection_wrapper.ts";
import { JoinedQueries } from "../database/joined_queries.ts";
import { InvalidQueryError } from "../query_builder/errors.ts";
import { QueryBuilder } from "../query_builder/query_builder.ts";
import { columnsOf } from "../query_builder/query_state.ts";
import type { TableQuery } from "../query_builder/table_query.ts";
import type {
  Changes,
  ColumnName,
  NewRow,
  Page,
  PageOptions,
  RowOf,
  StatementQueryOptions,
  TableName,
} from "../query_builder/types.ts";
import { compileUpdateReturning, compileUpsert } from "./statements.ts";

/** The source of a repository's statements: `ctx.postgres`, a manager, `manager.as(caller)`, `db`, or a transaction. */
export type RepositorySource = PostgresPool | Transaction | ConnectionWrapper;

/** Values of columns that the rows must have. */
export type RowFilter<Tables, Name extends TableName<Tables>> = Partial<RowOf<Tables, Name>>;

/** Options of {@linkcode Repository.list}. */
export interface ListOptions<Tables, Name extends TableName<Tables>>
  extends Omit<PageOptions<ColumnName<Tables, Name>>, "key"> {
  /** Values that the rows must have. Default: none. */
  readonly where?: RowFilter<Tables, Name> | undefined;
  /** The column to order by, in front of the key. Default: the key alone. */
  readonly orderBy?: ColumnName<Tables, Name> | undefined;
  /** The direction of `orderBy`. Default: `asc`. */
  readonly direction?: "asc" | "desc" | undefined;
}

/**
 * The rows of one table. A class for each entity extends it, and adds the queries of the domain: its callers know no SQL,
 * and a test passes another one. The source decides who the caller is; with `ctx.postgres` row-level security applies.
 *
 * Every method joins the {@linkcode transaction} around it, also those of other repositories on the same pool and caller.
 *
 * @typeParam Tables The tables, as Kysely has them: see `TablesOf`.
 * @typeParam Name The table.
 * @typeParam Key The column that identifies a row.
 *
 * @example A repository, and a transaction over two
 * ```ts
 * type Tables = {
 *   users: { id: number; name: string };
 *   posts: { id: number; user_id: number; title: string };
 * };
 *
 * class UserRepository extends Repository<Tables, "users"> {
 *   constructor(source: RepositorySource) {
 *     super(source, "users");
 *   }
 * }
 *
 * class PostRepository extends Repository<Tables, "posts"> {
 *   constructor(source: RepositorySource) {
 *     super(source, "posts");
 *   }
 *
 *   byUser(userId: number): Promise<{ id: number; title: string }[]> {
 *     return this.table.select("id", "title").where("user_id", "=", userId).orderBy("id").get();
 *   }
 * }
 *
 * const [users, posts] = [new UserRepository(manager), new PostRepository(manager)];
 * await users.transaction(async () => {
 *   await posts.upsert({ id: 7, user_id: 1, title: "Hello" });
 *   await users.update(1, { name: "John Doe" });
 * });
 * ```
 */
export class Repository<
  Tables,
  Name extends TableName<Tables>,
  Key extends keyof RowOf<Tables, Name> & string = "id" extends keyof RowOf<Tables, Name> ? "id" : never,
> {
  readonly #queries: PostgresQueries;
  readonly #name: Name;
  readonly #key: Key;
  readonly #table: TableQuery<Tables, Name, Name, RowOf<Tables, Name>>;

  /**
   * Creates a repository.
   *
   * @param source What it runs on, and who its caller is.
   * @param table The name of the table.
   * @param key The column that identifies a row. Default: `id`.
   * @throws {InvalidQueryError} when Postgres cannot have such names.
   */
  constructor(source: RepositorySource, table: Name, key: Key = "id" as Key) {
    const queries = this.#queries = source instanceof ConnectionWrapper
      ? source.queries
      : new JoinedQueries(() => source);
    this.#name = table;
    this.#key = key;
    this.#table = new QueryBuilder<Tables>({ query: (...args) => queries.query(...args) }).from(table);
  }

  /** A query on the table, for the methods of a subclass. */
  protected get table(): TableQuery<Tables, Name, Name, RowOf<Tables, Name>> {
    return this.#table;
  }

  /** The statements of the source, for `kyselyOf` and SQL of a subclass. */
  protected get queries(): PostgresQueries {
    return this.#queries;
  }

  /**
   * Returns the row with this key; `undefined` if the caller sees none.
   *
   * @throws what `query` of the source throws, here and in every method.
   */
  async find(id: RowOf<Tables, Name>[Key], options?: StatementQueryOptions): Promise<RowOf<Tables, Name> | undefined> {
    return await this.#byKey(id).first(options);
  }

  /**
   * Returns a page of rows in the order of a column and the key, and the cursor of the next page (keyset pagination).
   *
   * @throws {InvalidCursorError} when `after` is not `next` of a page of this list.
   * @throws {InvalidQueryError} when an option is invalid, or a value of `where` is undefined.
   */
  async list(
    { where = {}, orderBy, direction, ...page }: ListOptions<Tables, Name> = {},
  ): Promise<Page<RowOf<Tables, Name>>> {
    const rows = this.#matching(where);
    const ordered = orderBy === undefined ? rows : rows.orderBy(orderBy, direction);
    return await ordered.paginate({ ...page, key: this.#keyColumn });
  }

  /**
   * Returns the number of rows.
   *
   * @param where Values that the rows must have. Default: none.
   * @throws {InvalidQueryError} when a value of `where` is undefined.
   */
  async count(where: RowFilter<Tables, Name> = {}, options?: StatementQueryOptions): Promise<number> {
    return await this.#matching(where).count(options);
  }

  /**
   * Inserts a row and returns it, with its defaults.
   *
   * @throws {PostgresError} `23505` when the key, or another unique column, exists.
   */
  insert(row: NewRow<Tables, Name>, options?: StatementQueryOptions): Promise<RowOf<Tables, Name>> {
    return this.#table.insert(row, options);
  }

  /**
   * Updates the row with this key and returns it; `undefined` if the caller may update none.
   *
   * @throws {InvalidQueryError} when `changes` has no value.
   */
  async update(
    id: RowOf<Tables, Name>[Key],
    changes: Changes<Tables, Name>,
    options?: StatementQueryOptions,
  ): Promise<RowOf<Tables, Name> | undefined> {
    return await this.#runOne(compileUpdateReturning(this.#name, this.#key, id, changes), options);
  }

  /**
   * Inserts a row, or updates the columns that are given in the one that has its key, and returns it.
   *
   * @throws {InvalidQueryError} when the row has no key.
   */
  async upsert(row: NewRow<Tables, Name>, options?: StatementQueryOptions): Promise<RowOf<Tables, Name>> {
    const stored = await this.#runOne(compileUpsert(this.#name, this.#key, row), options);
    return stored as RowOf<Tables, Name>;
  }

  /** Deletes the row with this key, and returns whether there was one that the caller may delete. */
  async delete(id: RowOf<Tables, Name>[Key], options?: StatementQueryOptions): Promise<boolean> {
    return await this.#byKey(id).delete(options) > 0;
  }

  /**
   * Runs a function in a transaction, which every method of this repository joins inside it, and every other one on the
   * same pool and caller. Inside another transaction it is a savepoint.
   *
   * @throws what `work` throws, after a rollback, and what `transaction` of the source throws.
   */
  transaction<T>(work: () => PromiseLike<T> | T, options?: TransactionOptions): Promise<T> {
    return this.#queries.transaction(() => work(), options);
  }

  get #keyColumn(): ColumnName<Tables, Name> {
    return this.#key as string as ColumnName<Tables, Name>;
  }

  #byKey(id: unknown): TableQuery<Tables, Name, Name, RowOf<Tables, Name>> {
    return this.#table.where(this.#keyColumn, "=", id);
  }

  #matching(where: RowFilter<Tables, Name>): TableQuery<Tables, Name, Name, RowOf<Tables, Name>> {
    let rows = this.#table;
    for (const [column, value] of columnsOf(where, (what) => `compare with ${what}`)) {
      // It would match every row.
      if (value === undefined) throw new InvalidQueryError(`Cannot compare ${column} with undefined: leave it out`);
      rows = rows.where(column as ColumnName<Tables, Name>, value === null ? "is" : "=", value);
    }
    return rows;
  }

  async #runOne(
    { sql, parameters }: { readonly sql: string; readonly parameters: readonly unknown[] },
    options: StatementQueryOptions | undefined,
  ): Promise<RowOf<Tables, Name> | undefined> {
    const { rows } = await this.#queries.query(sql, parameters, options);
    return rows[0] as RowOf<Tables, Name> | undefined;
  }
}
