/**
 * The state of a query, and the statements that are compiled from it.
 *
 * @module
 */
import {
  AliasNode,
  AndNode,
  ColumnNode,
  ColumnUpdateNode,
  type CompiledQuery,
  DefaultInsertValueNode,
  FromNode,
  FunctionNode,
  type JoinNode,
  LimitNode,
  OffsetNode,
  type OperationNode,
  type OrderByItemNode,
  OrderByNode,
  PostgresQueryCompiler,
  PrimitiveValueListNode,
  ReturningNode,
  type RootOperationNode,
  SelectAllNode,
  SelectionNode,
  type SelectQueryNode,
  type TableNode,
  ValueListNode,
  ValuesNode,
  WhereNode,
} from "kysely";
import { InvalidQueryError } from "./errors.ts";
import {
  aliasNode,
  checkName,
  checkValue,
  columnNode,
  isFragment,
  kindOf,
  orderNode,
  parameter,
  shown,
  tableNode,
} from "./nodes.ts";

/** An order of `orderBy`. */
export interface Order {
  readonly name: string;
  readonly column: OperationNode;
  readonly direction: "asc" | "desc";
  readonly node: OrderByItemNode;
}

/** A query: immutable, so that one may be the base of many. */
export interface QueryState {
  readonly tableName: string;
  readonly table: TableNode;
  readonly joins: readonly JoinNode[];
  readonly selections: readonly SelectionNode[];
  /** The columns and fragments that are selected, by their names in the rows. */
  readonly selected: ReadonlyMap<string, unknown>;
  readonly conditions: readonly OperationNode[];
  readonly orders: readonly Order[];
  readonly limit: OperationNode | undefined;
  readonly offset: OperationNode | undefined;
  /** True if an update or delete may change every row. */
  readonly all: boolean;
}

/** Returns the state of a query on a table without any other part. */
export function emptyState(tableName: string, table: TableNode = tableNode(tableName)): QueryState {
  return {
    tableName,
    table,
    joins: [],
    selections: [],
    selected: NOTHING,
    conditions: [],
    orders: [],
    limit: undefined,
    offset: undefined,
    all: false,
  };
}

const NOTHING: ReadonlyMap<string, unknown> = new Map();

/** Returns the order of a column. */
export function orderOf(name: string, direction: "asc" | "desc"): Order {
  const column = columnNode(name);
  return { name, column, direction, node: orderNode(column, direction) };
}

/**
 * Returns a query that selects further columns: names, `table.*`, and objects with other names or fragments.
 *
 * @throws {InvalidQueryError} when a name is invalid, there is none, or two columns would have the same one.
 */
export function selecting(state: QueryState, columns: readonly unknown[]): QueryState {
  const selected = new Map(state.selected);
  const added: SelectionNode[] = [];
  const add = (node: SelectionNode, name: string, of: unknown) => {
    if (selected.has(name) && selected.get(name) !== of) {
      throw new InvalidQueryError(
        `Cannot select two columns as ${shown(name)}: give one another name, as in { author_id: "users.id" }`,
      );
    }
    selected.set(name, of);
    added.push(node);
  };
  for (const column of columns) {
    if (typeof column !== "object" || column === null) {
      const node = selectionNode(column);
      const name = String(column).slice(String(column).lastIndexOf(".") + 1);
      if (name === "*") added.push(node);
      else add(node, name, column);
      continue;
    }
    const aliases = Object.entries(column);
    if (aliases.length === 0) {
      throw new InvalidQueryError(
        "Cannot select an object without names: write { name: column } or { name: fragment }",
      );
    }
    for (const [alias, of] of aliases) {
      const node = isFragment(of) ? of.toOperationNode() : columnNode(of);
      add(SelectionNode.create(AliasNode.create(node, aliasNode(alias))), alias, of);
    }
  }
  // Without selections a query reads all columns, which a list that is empty by mistake must not.
  if (added.length === 0) {
    throw new InvalidQueryError("Cannot select no column: name one, or leave select() out to read all of them");
  }
  return { ...state, selected, selections: [...state.selections, ...added] };
}

function selectionNode(column: unknown): SelectionNode {
  if (column === "*") return SelectionNode.createSelectAll();
  if (typeof column === "string" && column.endsWith(".*")) {
    return SelectionNode.createSelectAllFromTable(tableNode(column.slice(0, -2)));
  }
  return SelectionNode.create(columnNode(column) as SelectAllNode);
}

const COMPILER = new PostgresQueryCompiler();
const QUERY_ID = { queryId: "" };
const ALL: readonly SelectionNode[] = [SelectionNode.createSelectAll()];
const RETURNING = ReturningNode.create(ALL);

/** Compiles a statement. */
export function compile(node: RootOperationNode): CompiledQuery {
  return COMPILER.compileQuery(node, QUERY_ID);
}

/** Returns conditions that must all hold; `undefined` for none. */
export function allOf(conditions: readonly OperationNode[]): OperationNode | undefined {
  const [first, ...others] = conditions;
  return first && others.reduce((left, right) => AndNode.create(left, right), first);
}

/** Returns the node of a SELECT, with some parts replaced. */
export function selectNode(
  { table, joins, selections, conditions, orders, limit, offset }: QueryState,
): SelectQueryNode {
  const where = allOf(conditions);
  return {
    kind: "SelectQueryNode",
    from: FromNode.create([table]),
    selections: selections.length === 0 ? ALL : selections,
    ...(joins.length > 0 && { joins }),
    ...(where && { where: WhereNode.create(where) }),
    ...(orders.length > 0 && { orderBy: OrderByNode.create(orders.map(({ node }) => node)) }),
    ...(limit && { limit: LimitNode.create(limit) }),
    ...(offset && { offset: OffsetNode.create(offset) }),
  };
}

/** Returns the selection of the number of rows, as `count`. */
export function countSelection(): SelectionNode {
  const count = FunctionNode.create("count", [SelectAllNode.create()]);
  return SelectionNode.create(AliasNode.create(count, aliasNode("count")));
}

/**
 * Returns the columns and values of an object.
 *
 * @param use What it is for, in messages: `write ... as a row`.
 * @throws {InvalidQueryError} when it is not an object of values by column.
 */
export function columnsOf(object: unknown, use: (what: string) => string): [string, unknown][] {
  if (
    typeof object !== "object" || object === null || Array.isArray(object) || object instanceof Date ||
    ArrayBuffer.isView(object)
  ) {
    throw new InvalidQueryError(`Cannot ${use(kindOf(object))}: it must be an object with a value by column`);
  }
  const entries = Object.entries(object);
  const prototype: unknown = Object.getPrototypeOf(object);
  // A promise that was not awaited, a Map or a FormData would insert a row of defaults, and match every row.
  const isEmpty = entries.every(([, value]) => value === undefined);
  if (isEmpty && prototype !== Object.prototype && prototype !== null) {
    throw new InvalidQueryError(
      `Cannot ${use("an object without properties")}: await it first, or pass a plain one`,
    );
  }
  return entries;
}

/** Returns the columns and values of a row that are not undefined. */
function entriesOf(row: unknown): [string, unknown][] {
  const entries = columnsOf(row, (what) => `write ${what} as a row`).filter(([, value]) => value !== undefined);
  for (const [column] of entries) checkName(column, "column");
  return entries;
}

/** Compiles an INSERT, which returns the rows. */
export function compileInsert({ table }: QueryState, rows: readonly unknown[]): CompiledQuery {
  const entries = Array.from(rows, entriesOf);
  const columns = [...new Set(entries.flatMap((row) => row.map(([column]) => column)))];
  if (columns.length === 0) {
    if (rows.length !== 1) throw new InvalidQueryError("Cannot insert several rows without a value in any of them");
    return compile({ kind: "InsertQueryNode", into: table, defaultValues: true, returning: RETURNING });
  }
  const values = entries.map((row) => {
    if (row.length === columns.length && row.every(([column], at) => column === columns[at])) {
      for (const [, value] of row) checkValue(value);
      return PrimitiveValueListNode.create(row.map(([, value]) => value));
    }
    const own = new Map(row);
    return ValueListNode.create(
      columns.map((column) => own.has(column) ? parameter(own.get(column)) : DefaultInsertValueNode.create()),
    );
  });
  return compile({
    kind: "InsertQueryNode",
    into: table,
    columns: columns.map((column) => ColumnNode.create(column)),
    values: ValuesNode.create(values),
    returning: RETURNING,
  });
}

/** Compiles an UPDATE. */
export function compileUpdate({ table, conditions }: QueryState, values: unknown): CompiledQuery {
  const entries = entriesOf(values);
  if (entries.length === 0) throw new InvalidQueryError("Cannot update without a value: every column is undefined");
  const where = allOf(conditions);
  return compile({
    kind: "UpdateQueryNode",
    table,
    updates: entries.map(([column, value]) => ColumnUpdateNode.create(ColumnNode.create(column), parameter(value))),
    ...(where && { where: WhereNode.create(where) }),
  });
}

/** Compiles a DELETE. */
export function compileDelete({ table, conditions }: QueryState): CompiledQuery {
  const where = allOf(conditions);
  return compile({
    kind: "DeleteQueryNode",
    from: FromNode.create([table]),
    ...(where && { where: WhereNode.create(where) }),
  });
}
