/**
 * A query on one table, with others that are joined.
 *
 * @module
 */
import {
  BinaryOperationNode,
  type CompiledQuery,
  JoinNode,
  type JoinType,
  OperatorNode,
  OrNode,
  ParensNode,
} from "kysely";
import { InvalidQueryError } from "./errors.ts";
import {
  columnNode,
  conditionNode,
  type Direction,
  directionOf,
  type Fragment,
  isFragment,
  numberNode,
  tableNode,
  type WhereOperator,
} from "./nodes.ts";
import { readPage } from "./page.ts";
import { compile, emptyState, orderOf, type QueryState, selecting, selectNode } from "./query_state.ts";
import { countRows, deleteRows, insertRows, readRows, updateRows } from "./run.ts";
import type {
  Aliases,
  Changes,
  ColumnName,
  Condition,
  NewRow,
  NullableRowOf,
  Page,
  PageOptions,
  QuerySource,
  ResultName,
  RowOf,
  StatementQueryOptions,
  TableName,
  ValueOf,
} from "./types.ts";
import type { Row } from "../../postgres/mod.ts";

/** Creates a query on a table. */
export let createTableQuery: <Tables, Name extends TableName<Tables>>(
  source: () => QuerySource,
  table: Name,
) => TableQuery<Tables, Name, Name, RowOf<Tables, Name>>;

const EQUAL = OperatorNode.create("=");

/**
 * A query on one table. It is immutable: each method returns another query, so that one may be the base of many.
 *
 * Names are quoted, operators and directions come from closed lists, and values are parameters, checked at run time:
 * nothing that a user sends becomes SQL. A fragment is written with the `sql` template.
 *
 * @typeParam Tables The tables, as Kysely has them.
 * @typeParam Name The table.
 * @typeParam Names The table, and those that are joined.
 * @typeParam Result The rows.
 * @typeParam Nullable The tables of which a row may have none: those of {@linkcode leftJoin}.
 */
export class TableQuery<
  Tables,
  Name extends TableName<Tables>,
  Names extends TableName<Tables>,
  Result extends object,
  Nullable extends TableName<Tables> = never,
> {
  readonly #source: () => QuerySource;
  readonly #state: QueryState;

  static {
    createTableQuery = (source, table) => new TableQuery(source, emptyState(table));
  }

  private constructor(source: () => QuerySource, state: QueryState) {
    this.#source = source;
    this.#state = state;
  }

  #with(changes: Partial<QueryState>): TableQuery<Tables, Name, Names, Result, Nullable> {
    return new TableQuery(this.#source, { ...this.#state, ...changes });
  }

  /**
   * Selects columns, instead of all: names, `table.*`, and objects with other names or fragments.
   *
   * @throws {InvalidQueryError} when a name is invalid, or there is none.
   */
  select<Column extends ColumnName<Tables, Names>>(
    ...columns: readonly Column[]
  ): TableQuery<
    Tables,
    Name,
    Names,
    { [Each in Column as ResultName<Each>]: ValueOf<Tables, Names, Each, Nullable> },
    Nullable
  >;
  /** Selects columns, `table.*`, and columns and fragments under other names. */
  select(
    ...columns: readonly (ColumnName<Tables, Names> | `${Names}.*` | Aliases<Tables, Names>)[]
  ): TableQuery<Tables, Name, Names, Row, Nullable>;
  select(...columns: readonly (string | Aliases<Tables, Names>)[]): TableQuery<Tables, Name, Names, Row, Nullable> {
    return new TableQuery(this.#source, selecting(this.#state, columns));
  }

  /** Joins a table: rows without a match are left out. */
  join<Other extends TableName<Tables>>(
    table: Other,
    left: ColumnName<Tables, Names | Other>,
    right: ColumnName<Tables, Names | Other>,
  ): TableQuery<Tables, Name, Names | Other, Result & RowOf<Tables, Other>, Nullable> {
    return this.#join("InnerJoin", table, left, right) as unknown as TableQuery<
      Tables,
      Name,
      Names | Other,
      Result & RowOf<Tables, Other>,
      Nullable
    >;
  }

  /** Joins a table: rows without a match have null in its columns. */
  leftJoin<Other extends TableName<Tables>>(
    table: Other,
    left: ColumnName<Tables, Names | Other>,
    right: ColumnName<Tables, Names | Other>,
  ): TableQuery<Tables, Name, Names | Other, Result & NullableRowOf<Tables, Other>, Nullable | Other> {
    return this.#join("LeftJoin", table, left, right) as unknown as TableQuery<
      Tables,
      Name,
      Names | Other,
      Result & NullableRowOf<Tables, Other>,
      Nullable | Other
    >;
  }

  #join(type: JoinType, table: string, left: string, right: string): unknown {
    const on = BinaryOperationNode.create(columnNode(left), EQUAL, columnNode(right));
    return this.#with({ joins: [...this.#state.joins, JoinNode.createWithOn(type, tableNode(table), on)] });
  }

  /**
   * Adds a condition, which must hold beside the others: a column, an operator and a value, or a fragment of `sql`.
   *
   * `in` and `not in` take an array, which may be empty. `is` and `is not` take null, true or false; other operators do
   * not take null, which would be true for no row.
   *
   * @throws {InvalidQueryError} when a part is invalid.
   */
  where<Column extends ColumnName<Tables, Names>>(
    column: Column,
    operator: WhereOperator,
    value: unknown,
  ): TableQuery<Tables, Name, Names, Result, Nullable>;
  /** Adds a condition that is a fragment of `sql`. */
  where(condition: Fragment): TableQuery<Tables, Name, Names, Result, Nullable>;
  where(column: string | Fragment, ...rest: readonly unknown[]): TableQuery<Tables, Name, Names, Result, Nullable> {
    const isAlone = rest.length === 0 && isFragment(column);
    if (!isAlone && rest.length !== 2) {
      throw new InvalidQueryError("Cannot read the condition: where() takes a column, an operator and a value");
    }
    const condition = isAlone ? ParensNode.create(column.toOperationNode()) : conditionNode(column, rest[0], rest[1]);
    return this.#with({ conditions: [...this.#state.conditions, condition] });
  }

  /**
   * Adds conditions of which one must hold.
   *
   * @throws {InvalidQueryError} when a part is invalid, or there is none.
   */
  whereAny(conditions: readonly Condition<Tables, Names>[]): TableQuery<Tables, Name, Names, Result, Nullable> {
    if (!Array.isArray(conditions) || conditions.length === 0 || !conditions.every(Array.isArray)) {
      throw new InvalidQueryError("Cannot read the conditions: whereAny() takes [[column, operator, value], ...]");
    }
    const nodes = conditions.map(([column, operator, value]) => conditionNode(column, operator, value));
    const any = ParensNode.create(nodes.reduce((left, right) => OrNode.create(left, right)));
    return this.#with({ conditions: [...this.#state.conditions, any] });
  }

  /**
   * Orders the rows, behind earlier orders.
   *
   * @param direction Default: `asc`.
   * @throws {InvalidQueryError} when a part is invalid.
   */
  orderBy(
    column: ColumnName<Tables, Names>,
    direction: Direction = "asc",
  ): TableQuery<Tables, Name, Names, Result, Nullable> {
    return this.#with({ orders: [...this.#state.orders, orderOf(column, directionOf(direction))] });
  }

  /**
   * Limits the number of rows.
   *
   * @throws {InvalidQueryError} when it is not a whole number of at least 0.
   */
  limit(rows: number): TableQuery<Tables, Name, Names, Result, Nullable> {
    return this.#with({ limit: numberNode("limit", rows) });
  }

  /**
   * Skips rows. For pages, {@linkcode paginate} is faster, and skips no row that is inserted meanwhile.
   *
   * @throws {InvalidQueryError} when it is not a whole number of at least 0.
   */
  offset(rows: number): TableQuery<Tables, Name, Names, Result, Nullable> {
    return this.#with({ offset: numberNode("offset", rows) });
  }

  /** Allows {@linkcode update} and {@linkcode delete} to change every row. */
  all(): TableQuery<Tables, Name, Names, Result, Nullable> {
    return this.#with({ all: true });
  }

  /** Returns the statement that {@linkcode get} runs. */
  compile(): CompiledQuery {
    return compile(selectNode(this.#state));
  }

  /**
   * Returns the rows.
   *
   * @throws what `query` of the source throws.
   */
  async get(options?: StatementQueryOptions): Promise<Result[]> {
    return await readRows(this.#source(), this.#state, options) as Result[];
  }

  /** Returns the first row; `undefined` if there is none. */
  async first(options?: StatementQueryOptions): Promise<Result | undefined> {
    const [row] = await this.limit(1).get(options);
    return row;
  }

  /** Returns the number of rows, whatever the limit and the offset. */
  async count(options?: StatementQueryOptions): Promise<number> {
    return await countRows(this.#source(), this.#state, options);
  }

  /**
   * Returns a page of rows in the order of {@linkcode orderBy} and a key, and the cursor of the next page. Rows that are
   * inserted or deleted meanwhile shift nothing (keyset pagination).
   *
   * The cursor holds the values of the ordered columns in the last row, readable to those who receive it. It selects a
   * position and nothing else: the conditions of this query hold on every page.
   *
   * @throws {InvalidCursorError} when `after` is not `next` of a page of this query.
   * @throws {InvalidQueryError} when `limit` is not a whole number above 0, or the query has a limit or an offset.
   */
  async paginate(options: PageOptions<ColumnName<Tables, Names>> = {}): Promise<Page<Result>> {
    return await readPage(this.#source(), this.#state, options) as Page<Result>;
  }

  /**
   * Inserts a row and returns it. Columns that are left out, or undefined, get their default.
   *
   * @throws {InvalidQueryError} when a row or a name is invalid, or the query has conditions or other parts.
   */
  insert(row: NewRow<Tables, Name>, options?: StatementQueryOptions): Promise<RowOf<Tables, Name>>;
  /** Inserts several rows in one statement, and returns them. */
  insert(rows: readonly NewRow<Tables, Name>[], options?: StatementQueryOptions): Promise<RowOf<Tables, Name>[]>;
  async insert(rows: unknown, options?: StatementQueryOptions): Promise<unknown> {
    return await insertRows(this.#source(), this.#state, rows, options);
  }

  /**
   * Updates the rows that the conditions select, and returns their number. Columns that are undefined stay as they are.
   *
   * @throws {WhereMissingError} without a condition, unless {@linkcode all} was called.
   * @throws {InvalidQueryError} when a value or a name is invalid, or the query has other parts than conditions.
   */
  async update(values: Changes<Tables, Name>, options?: StatementQueryOptions): Promise<number> {
    return await updateRows(this.#source(), this.#state, values, options);
  }

  /**
   * Deletes the rows that the conditions select, and returns their number.
   *
   * @throws {WhereMissingError} without a condition, unless {@linkcode all} was called.
   * @throws {InvalidQueryError} when the query has other parts than conditions.
   */
  async delete(options?: StatementQueryOptions): Promise<number> {
    return await deleteRows(this.#source(), this.#state, options);
  }
}
