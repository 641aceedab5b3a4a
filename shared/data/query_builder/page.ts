/**
 * Pages of a query by keyset: the rows behind a cursor, and the cursor of the next page.
 *
 * @module
 */
import {
  AliasNode,
  AndNode,
  BinaryOperationNode,
  CastNode,
  DataTypeNode,
  type OperationNode,
  OperatorNode,
  OrNode,
  ParensNode,
  SelectionNode,
  ValueNode,
} from "kysely";
import { codeOf } from "../../resilience/mod.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { InvalidCursorError, InvalidQueryError } from "./errors.ts";
import { aliasNode, numberNode, shown } from "./nodes.ts";
import { emptyState, type Order, orderOf, type QueryState } from "./query_state.ts";
import { readRows } from "./run.ts";
import type { Page, PageOptions, QuerySource, StatementQueryOptions } from "./types.ts";

const TEXT = DataTypeNode.create("text");
const [EQUAL, MORE, LESS, IS, IS_NOT] = (["=", ">", "<", "is", "is not"] as const)
  .map((operator) => OperatorNode.create(operator)) as [
    OperatorNode,
    OperatorNode,
    OperatorNode,
    OperatorNode,
    OperatorNode,
  ];
const NULL = ValueNode.createImmediate(null);
/** The condition of no row. */
const NOTHING = ValueNode.createImmediate(false);

/** The rows of a page, unless its options say otherwise. */
const PAGE_LIMIT = 50;

/** SQLSTATEs of a text that is not one of its type, or of a value that the type cannot have. */
const NOT_OF_ITS_TYPE: ReadonlySet<string> = new Set(["22P02", "22003", "22007", "22008", "22021", "22023"]);

/** Reads a page; see `paginate` of a query. */
export async function readPage(
  source: QuerySource,
  state: QueryState,
  { limit = PAGE_LIMIT, after, key = "id", ...rest }: PageOptions<string>,
): Promise<Page<object>> {
  if (state.limit || state.offset) {
    throw new InvalidQueryError("Cannot read a page of a query with limit() or offset(): pass paginate({ limit })");
  }
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new InvalidQueryError(`Cannot use ${shown(limit)} as limit: it must be a whole number above 0`);
  }
  const orders = state.orders.some(({ name }) => name === key) ? state.orders : [...state.orders, orderOf(key, "asc")];
  const identity = JSON.stringify([state.tableName, orders.map(({ name, direction }) => [name, direction])]);
  const position = after === undefined || after === null ? [] : decodeCursor(after, identity, orders.length);
  const behind = position.length === 0 ? undefined : ParensNode.create(behindNode(orders, position));
  // As text, since a Date would lose microseconds.
  const values = orders.map(({ column }, at) =>
    SelectionNode.create(AliasNode.create(CastNode.create(column, TEXT), aliasNode(`cursor:${at}`)))
  );
  const selected = state.selections.length > 0 ? state.selections : [SelectionNode.createSelectAll()];
  const rows = await readRows(source, {
    ...state,
    selections: [...selected, ...values],
    conditions: behind ? [...state.conditions, behind] : state.conditions,
    orders,
    limit: numberNode("limit", limit + 1),
  }, rest).catch(async (error: unknown) => {
    const isOfCursor = behind !== undefined && await rejectsPosition(source, state, behind, error, rest);
    throw isOfCursor ? new InvalidCursorError({ cause: error }) : error;
  });
  const hasNext = rows.length > limit;
  if (hasNext) rows.pop();
  const last = rows.at(-1);
  const next = hasNext && last
    ? encodeCursor(identity, orders.map((_, at) => (last[`cursor:${at}`] ?? null) as string | null))
    : undefined;
  for (const row of rows) for (let at = 0; at < orders.length; at++) delete row[`cursor:${at}`];
  return { rows, next };
}

/**
 * Returns whether the server rejects the values of a cursor. Other values of the query have the same errors, so that the
 * server reads those of the cursor alone, and no row.
 */
async function rejectsPosition(
  source: QuerySource,
  state: QueryState,
  behind: OperationNode,
  error: unknown,
  options: StatementQueryOptions,
): Promise<boolean> {
  const isOfValue = (code: string | undefined) => code !== undefined && NOT_OF_ITS_TYPE.has(code);
  if (!isOfValue(codeOf(error))) return false;
  const { joins, table, tableName } = state;
  const none = {
    ...emptyState(tableName, table),
    joins,
    selections: [SelectionNode.create(AliasNode.create(NULL, aliasNode("none")))],
    conditions: [behind],
    limit: numberNode("limit", 0),
  };
  try {
    await readRows(source, none, options);
    return false;
  } catch (checked) {
    // In a transaction nothing runs after a failure: then the cursor, which a user has sent, is the likely cause.
    return isOfValue(codeOf(checked)) || codeOf(checked) === "25P02";
  }
}

/** Returns the condition of rows behind a position. Nulls are last in ascending order, and first in descending one. */
function behindNode(
  [order, ...others]: readonly Order[],
  [value = null, ...values]: readonly (string | null)[],
): OperationNode {
  const { column, direction } = order as Order;
  const isAscending = direction === "asc";
  const isNull = BinaryOperationNode.create(column, IS, NULL);
  const same = value === null ? isNull : BinaryOperationNode.create(column, EQUAL, ValueNode.create(value));
  const strictly = value === null
    ? isAscending ? undefined : BinaryOperationNode.create(column, IS_NOT, NULL)
    : isAscending
    ? OrNode.create(BinaryOperationNode.create(column, MORE, ValueNode.create(value)), isNull)
    : BinaryOperationNode.create(column, LESS, ValueNode.create(value));
  if (others.length === 0) return strictly ?? NOTHING;
  const tie = AndNode.create(same, ParensNode.create(behindNode(others, values)));
  return strictly ? OrNode.create(strictly, ParensNode.create(tie)) : tie;
}
