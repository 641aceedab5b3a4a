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

/** Rows with what else the server reported about them: a {@linkcode QueryResult} that is an array of its rows. */
export type ResultRows<R extends object = Row> = R[] & Readonly<QueryResult<R>>;

/**
 * Returns the result of a statement.
 *
 * @param tag Its command tag: `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`; empty for an empty statement.
 */
export function resultOf(tag: string, rows: Row[], fields: readonly Column[]): QueryResult {
  const first = tag.indexOf(" ");
  return { rows, rowCount: countOf(tag), command: first < 0 ? tag : tag.slice(0, first), fields };
}

/** Returns the number at the end of a command tag; `null` if there is none. */
function countOf(tag: string): number | null {
  const start = tag.lastIndexOf(" ") + 1;
  let count = 0;
  for (let at = start; at < tag.length; at++) {
    const digit = tag.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return null;
    count = 10 * count + digit;
  }
  return start === tag.length ? null : count;
}

/** Returns the rows of a result, with its other members as properties that are not enumerated. */
export function toRows<R extends object>({ rows, rowCount, command, fields }: QueryResult<R>): ResultRows<R> {
  return Object.defineProperties(rows, {
    rows: { value: rows },
    rowCount: { value: rowCount },
    command: { value: command },
    fields: { value: fields },
  }) as ResultRows<R>;
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
