/**
 * The statements that a repository adds to those of the query builder.
 *
 * @module
 */
import {
  ColumnNode,
  ColumnUpdateNode,
  type CompiledQuery,
  type InsertQueryNode,
  OnConflictNode,
  ReferenceNode,
  ReturningNode,
  SelectionNode,
  TableNode,
  type UpdateQueryNode,
} from "kysely";
import { InvalidQueryError } from "../query_builder/errors.ts";
import { conditionNode } from "../query_builder/nodes.ts";
import { compile, compileInsert, compileUpdate, emptyState } from "../query_builder/query_state.ts";

const RETURNING = ReturningNode.create([SelectionNode.createSelectAll()]);

const EXCLUDED = TableNode.create("excluded");

/** Compiles an UPDATE of the row with a key, which returns it. */
export function compileUpdateReturning(table: string, key: string, id: unknown, changes: unknown): CompiledQuery {
  const { query } = compileUpdate({ ...emptyState(table), conditions: [conditionNode(key, "=", id)] }, changes);
  return compile({ ...query as UpdateQueryNode, returning: RETURNING });
}

/**
 * Compiles an INSERT that updates the row that has the key, and returns it.
 *
 * @throws {InvalidQueryError} when the row has no key.
 */
export function compileUpsert(table: string, key: string, row: unknown): CompiledQuery {
  const query = compileInsert(emptyState(table), [row]).query as InsertQueryNode;
  const given = (query.columns ?? []).map(({ column }) => column.name);
  if (!given.includes(key)) throw new InvalidQueryError(`Cannot upsert a row without its key: give it a ${key}`);
  const others = given.filter((column) => column !== key);
  // Without another column the key is set to itself, so that the row is returned.
  const updates = (others.length > 0 ? others : [key]).map((column) =>
    ColumnUpdateNode.create(ColumnNode.create(column), ReferenceNode.create(ColumnNode.create(column), EXCLUDED))
  );
  const onConflict = OnConflictNode.cloneWith(OnConflictNode.create(), { columns: [ColumnNode.create(key)], updates });
  return compile({ ...query, onConflict });
}
