/**
 * Statements and their results.
 *
 * @module
 */

/** A row: values by column name. */
export type Row = Record<string, unknown>;

/** A column of a result. */
export interface Column {
  /** Its name. */
  readonly name: string;
  /** The oid of its type. */
  readonly dataTypeID: number;
}

/** The result of a statement. */
export interface QueryResult<R extends object = Row> {
  /** The rows. Of several columns with one name, the last one's value counts. */
  readonly rows: R[];
  /** The number of rows that it returned or changed; `null` for a statement without such a number. */
  readonly rowCount: number | null;
  /** The first word of its command tag, e.g. `SELECT`, `INSERT` or `CREATE`; empty for an empty statement. */
  readonly command: string;
  /** The columns, in order. */
  readonly fields: readonly Column[];
}

/** A statement and the values of its `$1`, `$2` and so on. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** True for a statement that must not depend on a prepared one, which SQL may have dropped. Default: false. */
  readonly unprepared?: boolean;
}
