/**
 * Statements and their results.
 *
 * @module
 */
import type { TypeOverrides } from "../types/registry.ts";

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
  readonly unprepared?: boolean | undefined;
  /** The types of its parameters, as oids or names. Default: those that the server infers. */
  readonly paramTypes?: readonly ParamType[] | undefined;
  /** Overrides of the ways in which types are sent and read. Default: the manager's. */
  readonly types?: TypeOverrides | undefined;
  /** The name of the settings that it makes until the transaction ends, where names may stand for other things then. */
  readonly namespace?: string | undefined;
}

/** The type of a parameter: its oid, its name, or `undefined` for what the server infers. */
export type ParamType = number | string | undefined;
