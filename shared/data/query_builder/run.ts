/**
 * Runs the statements of a query.
 *
 * @module
 */
import type { CompiledQuery } from "kysely";
import type { QueryResult, Row } from "../../postgres/mod.ts";
import { InvalidQueryError, WhereMissingError } from "./errors.ts";
import {
  compile,
  compileDelete,
  compileInsert,
  compileUpdate,
  countSelection,
  type QueryState,
  selectNode,
} from "./query_state.ts";
import type { QuerySource, StatementQueryOptions } from "./types.ts";

function run(
  source: QuerySource,
  { sql, parameters }: CompiledQuery,
  options: StatementQueryOptions | undefined,
): Promise<QueryResult<Row>> {
  return source.query(sql, parameters, options);
}

/**
 * Reads the rows of a query.
 *
 * @throws {InvalidQueryError} when two columns of joined tables have the same name: a row would have the value of one.
 */
export async function readRows(
  source: QuerySource,
  state: QueryState,
  options: StatementQueryOptions | undefined,
): Promise<Row[]> {
  const { rows, fields } = await run(source, compile(selectNode(state)), options);
  if (state.joins.length === 0) return rows;
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) {
      throw new InvalidQueryError(
        `Cannot read two columns as ${JSON.stringify(name)}: name the columns in select(), as in ` +
          '{ author_id: "users.id" }',
      );
    }
    names.add(name);
  }
  return rows;
}

/** Returns the number of rows of a query, whatever the limit and the offset. */
export async function countRows(
  source: QuerySource,
  state: QueryState,
  options: StatementQueryOptions | undefined,
): Promise<number> {
  const all = { ...state, selections: [countSelection()], orders: [], limit: undefined, offset: undefined };
  const { rows } = await run(source, compile(selectNode(all)), options);
  return Number(rows[0]?.["count"]);
}

/** Inserts a row or a list of rows, and returns what was inserted in the same form. */
export async function insertRows(
  source: QuerySource,
  state: QueryState,
  rows: unknown,
  options: StatementQueryOptions | undefined,
): Promise<unknown> {
  requireBare(state, "insert");
  if (state.conditions.length > 0) throw new InvalidQueryError("Cannot insert with where()");
  if (Array.isArray(rows) && rows.length === 0) return [];
  const list: readonly unknown[] = Array.isArray(rows) ? rows : [rows];
  const inserted = (await run(source, compileInsert(state, list), options)).rows;
  return Array.isArray(rows) ? inserted : inserted[0];
}

/** Updates the rows that the conditions select, and returns their number. */
export async function updateRows(
  source: QuerySource,
  state: QueryState,
  values: unknown,
  options: StatementQueryOptions | undefined,
): Promise<number> {
  requireBare(state, "update");
  requireWhere(state, "update");
  return (await run(source, compileUpdate(state, values), options)).rowCount ?? 0;
}

/** Deletes the rows that the conditions select, and returns their number. */
export async function deleteRows(
  source: QuerySource,
  state: QueryState,
  options: StatementQueryOptions | undefined,
): Promise<number> {
  requireBare(state, "delete");
  requireWhere(state, "delete");
  return (await run(source, compileDelete(state), options)).rowCount ?? 0;
}

/** Rejects parts that a statement other than a select would ignore. */
function requireBare({ joins, selections, orders, limit, offset }: QueryState, method: string): void {
  const part = joins.length > 0
    ? "join()"
    : selections.length > 0
    ? "select()"
    : orders.length > 0
    ? "orderBy()"
    : limit
    ? "limit()"
    : offset
    ? "offset()"
    : undefined;
  if (part !== undefined) throw new InvalidQueryError(`Cannot ${method} with ${part}: it would have no effect`);
}

function requireWhere({ conditions, all }: QueryState, method: "update" | "delete"): void {
  if (conditions.length === 0 && !all) throw new WhereMissingError(method);
}
