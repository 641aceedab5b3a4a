/**
 * What a statement yields.
 *
 * @module
 */

/** A row, by the names of its columns. */
export type Row = Record<string, unknown>;

/** A column of a result. */
export interface Column {
  /** Its name. */
  readonly name: string;
  /** The oid of its type. */
  readonly dataTypeID: number;
}

/** What a statement yields. */
export interface QueryResult<R extends object = Row> {
  /** By the names of the columns: of several with one name, the last one's value. */
  readonly rows: R[];
  /** How many rows it returned or changed; `null` for a statement that counts none. */
  readonly rowCount: number | null;
  /** The first word of its command tag, e.g. `SELECT`, `INSERT` or `CREATE`; empty for an empty statement. */
  readonly command: string;
  /** The columns, in order. */
  readonly fields: readonly Column[];
}

/** A statement and the values of its `$1`, `$2`, …. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Whether it must not depend on what was prepared before, and somebody may have dropped. */
  readonly unprepared?: boolean;
}
