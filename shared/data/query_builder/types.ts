/**
 * The types of the query builder.
 *
 * @module
 */
import type { Insertable, Selectable, Updateable } from "kysely";
import type { QueryOptions, QueryResult, Row } from "../../postgres/mod.ts";
import type { Fragment, WhereOperator } from "./nodes.ts";

/** A source of statements for a query builder: a manager, `manager.as(caller)`, a transaction or a leased connection. */
export interface QuerySource {
  /** Runs one statement. */
  query(text: string, values: readonly unknown[], options?: StatementQueryOptions): Promise<QueryResult<Row>>;
}

/** Options of one statement. */
export type StatementQueryOptions = Pick<QueryOptions, "signal" | "timeoutMs" | "prepare" | "types">;

/** The name of a table. */
export type TableName<Tables> = keyof Tables & string;

/** The name of a column of one of the tables, alone or behind its table: `id` or `posts.id`. */
export type ColumnName<Tables, Names extends TableName<Tables>> = Names extends unknown
  ? (keyof Tables[Names] & string) | `${Names}.${keyof Tables[Names] & string}`
  : never;

/** A row of one table, as it is read. */
export type RowOf<Tables, Name extends TableName<Tables>> = Selectable<Tables[Name]>;

/** A row of a table that is joined, where there may be none. */
export type NullableRowOf<Tables, Name extends TableName<Tables>> = {
  [Column in keyof RowOf<Tables, Name>]: RowOf<Tables, Name>[Column] | null;
};

/** A row of one table, as it is inserted. */
export type NewRow<Tables, Name extends TableName<Tables>> = Insertable<Tables[Name]>;

/** The changed columns of one table. */
export type Changes<Tables, Name extends TableName<Tables>> = Updateable<Tables[Name]>;

/** The value of a column of one of the tables; null, too, for one of a table in `Nullable`. */
export type ValueOf<Tables, Names extends TableName<Tables>, Column, Nullable extends TableName<Tables> = never> =
  Column extends `${infer Name}.${infer Own}`
    ? Name extends Names
      ? Own extends keyof Selectable<Tables[Name]> ? Selectable<Tables[Name]>[Own] | NullIn<Name, Nullable>
      : unknown
    : unknown
    : Names extends unknown
      ? Column extends keyof Selectable<Tables[Names]> ? Selectable<Tables[Names]>[Column] | NullIn<Names, Nullable>
      : never
    : never;

/** Null for a table in `Nullable`. */
export type NullIn<Name, Nullable> = Name extends Nullable ? null : never;

/** The name that a selected column has in the row. */
export type ResultName<Column> = Column extends `${string}.${infer Own}` ? Own : Column;

/** Columns to select under other names: `{ author: "users.name" }`, or a fragment: `` { year: sql`...` } ``. */
export type Aliases<Tables, Names extends TableName<Tables>> = Record<string, ColumnName<Tables, Names> | Fragment>;

/** A condition of {@linkcode TableQuery.whereAny}: column, operator and value. */
export type Condition<Tables, Names extends TableName<Tables>> = readonly [
  column: ColumnName<Tables, Names>,
  operator: WhereOperator,
  value: unknown,
];

/** A page of rows. */
export interface Page<Result> {
  /** The rows. */
  readonly rows: Result[];
  /** The cursor of the next page; `undefined` after the last. */
  readonly next: string | undefined;
}

/** Options of `paginate`. */
export interface PageOptions<Column extends string> extends StatementQueryOptions {
  /** The most rows of a page. Default: 50. */
  readonly limit?: number | undefined;
  /** The cursor of the page: `next` of the one before. Default: the first page. */
  readonly after?: string | null | undefined;
  /** A column whose values differ from row to row; it is the last order. Default: `id`. */
  readonly key?: Column | undefined;
}
