/**
 * Kysely's nodes for names, conditions and orders, each from input that is checked: nothing that is not on a list or
 * quoted becomes SQL.
 *
 * @module
 */
import {
  BinaryOperationNode,
  ColumnNode,
  FunctionNode,
  IdentifierNode,
  type OperationNode,
  OperatorNode,
  OrderByItemNode,
  RawNode,
  ReferenceNode,
  TableNode,
  ValueNode,
} from "kysely";
import { captureValues, SqlFragment } from "../../postgres/mod.ts";
import { InvalidQueryError } from "./errors.ts";

/** The operators of `where`. */
export const WHERE_OPERATORS = [
  "=",
  "!=",
  "<>",
  "<",
  "<=",
  ">",
  ">=",
  "like",
  "not like",
  "ilike",
  "not ilike",
  "in",
  "not in",
  "is",
  "is not",
  "is distinct from",
  "is not distinct from",
  "@>",
  "<@",
  "&&",
] as const;

/** An operator of `where`. */
export type WhereOperator = typeof WHERE_OPERATORS[number];

/** A direction of `orderBy`. */
export type Direction = "asc" | "desc" | "ASC" | "DESC";

const KNOWN: ReadonlySet<string> = new Set(WHERE_OPERATORS);

/** The longest name, in bytes: the server would cut a longer one, and mean another. */
const MAX_NAME_BYTES = 63;

const ENCODER = new TextEncoder();

/** Shows a value of any kind in a message, shortened; a string in quotation marks. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return typeof value === "object" && value !== null
    ? (Array.isArray(value) ? "an array" : "an object")
    : String(value);
}

/** Describes a value for a message, without what may be personal: strings are not quoted. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return `a ${typeof value}`;
}

/**
 * Checks one part of a name. What it may contain is wide, since it is quoted.
 *
 * @throws {InvalidQueryError} when Postgres cannot have such a name.
 */
export function checkName(name: unknown, kind: string): string {
  if (typeof name !== "string") {
    throw new InvalidQueryError(`Cannot use ${shown(name)} as a ${kind}: it must be a string`);
  }
  const reason = name === ""
    ? "it is empty"
    : name.includes("\0")
    ? "it holds a NUL character"
    : !name.isWellFormed()
    ? "it is not well-formed Unicode"
    : name.length * 3 > MAX_NAME_BYTES && ENCODER.encode(name).length > MAX_NAME_BYTES
    ? `it is longer than ${MAX_NAME_BYTES} bytes`
    : undefined;
  if (reason !== undefined) throw new InvalidQueryError(`Cannot use ${shown(name)} as a ${kind}: ${reason}`);
  return name;
}

/** Splits a name at its dots. */
function partsOf(name: unknown, kind: string, most: number): string[] {
  if (typeof name !== "string") checkName(name, kind);
  const parts = (name as string).split(".");
  if (parts.length > most) throw new InvalidQueryError(`Cannot use ${shown(name)} as a ${kind}: it has too many dots`);
  return parts.map((part) => checkName(part, kind));
}

/** Returns the node of `table` or `schema.table`. */
export function tableNode(name: unknown): TableNode {
  const [first = "", second] = partsOf(name, "table", 2);
  return second === undefined ? TableNode.create(first) : TableNode.createWithSchema(first, second);
}

/** Returns the node of `column`, `table.column` or `schema.table.column`. */
export function columnNode(name: unknown): OperationNode {
  const parts = partsOf(name, "column", 3);
  const column = ColumnNode.create(parts.at(-1) ?? "");
  if (parts.length === 1) return ReferenceNode.create(column);
  return ReferenceNode.create(column, tableNode(parts.slice(0, -1).join(".")));
}

/**
 * Checks a value that becomes a parameter.
 *
 * @throws {InvalidQueryError} when it cannot be one, or would be stored as something else.
 */
export function checkValue(value: unknown): void {
  if (value === undefined) throw new InvalidQueryError("Cannot use undefined as a value: use null, or leave it out");
  if (typeof value === "function" || typeof value === "symbol") {
    throw new InvalidQueryError(`Cannot use a ${typeof value} as a value`);
  }
  // A column of JSON would store its properties.
  if (isFragment(value) || SqlFragment.is(value)) {
    throw new InvalidQueryError("Cannot use a fragment of sql as a value: it is a condition or a column of select()");
  }
}

/** Returns the node of a parameter. */
export function parameter(value: unknown): OperationNode {
  checkValue(value);
  return ValueNode.create(value);
}

/** Returns the node of an operator; `in` and `not in` compare with a list in one parameter. */
function operatorNode(operator: unknown): OperatorNode {
  if (typeof operator !== "string" || !KNOWN.has(operator)) {
    throw new InvalidQueryError(
      `Cannot compare with the operator ${shown(operator)}: use one of ${WHERE_OPERATORS.join(", ")}`,
    );
  }
  return OperatorNode.create(operator === "in" ? "=" : operator === "not in" ? "<>" as "!=" : operator as "=");
}

/** Returns the node of `column operator value`. */
export function conditionNode(column: unknown, operator: unknown, value: unknown): OperationNode {
  const left = columnNode(column);
  const node = operatorNode(operator);
  const isList = operator === "in" || operator === "not in";
  return BinaryOperationNode.create(left, node, isList ? listNode(operator, value) : comparedNode(operator, value));
}

/** Returns the node of a parameter that its giver cannot change: the query may run later, and more than once. */
function heldParameter(value: unknown): OperationNode {
  checkValue(value);
  return ValueNode.create(typeof value === "object" && value !== null ? captureValues([value])[0] : value);
}

function listNode(operator: unknown, value: unknown): OperationNode {
  if (!Array.isArray(value)) {
    throw new InvalidQueryError(`Cannot compare with ${kindOf(value)}: "${operator}" takes an array`);
  }
  if (value.some((item) => item === null || item === undefined)) {
    throw new InvalidQueryError(`Cannot compare with null or undefined in an array: use "is" for null`);
  }
  value.forEach(checkValue);
  return FunctionNode.create(operator === "in" ? "any" : "all", [heldParameter(value)]);
}

function comparedNode(operator: unknown, value: unknown): OperationNode {
  if (operator === "is" || operator === "is not") {
    if (value !== null && typeof value !== "boolean") {
      throw new InvalidQueryError(`Cannot compare with ${kindOf(value)}: "${operator}" takes null, true or false`);
    }
    return ValueNode.createImmediate(value);
  }
  if (value === null && !String(operator).endsWith("distinct from")) {
    throw new InvalidQueryError(`Cannot compare with null by "${operator}", which is never true: use "is" or "is not"`);
  }
  return heldParameter(value);
}

/** Returns the direction of `orderBy`, in lower case. */
export function directionOf(direction: unknown): "asc" | "desc" {
  if (direction === "asc" || direction === "ASC") return "asc";
  if (direction === "desc" || direction === "DESC") return "desc";
  throw new InvalidQueryError(`Cannot order by direction ${shown(direction)}: use "asc" or "desc"`);
}

/** Returns the node of one order. */
export function orderNode(column: OperationNode, direction: "asc" | "desc"): OrderByItemNode {
  return OrderByItemNode.create(column, direction === "asc" ? ASCENDING : DESCENDING);
}

const ASCENDING = RawNode.createWithSql("asc");
const DESCENDING = RawNode.createWithSql("desc");

/** Returns the node of a number of rows. */
export function numberNode(name: string, value: unknown): OperationNode {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new InvalidQueryError(`Cannot use ${shown(value)} as ${name}: it must be a whole number of at least 0`);
  }
  return ValueNode.create(value);
}

/** Returns the node of an alias. */
export function aliasNode(name: unknown): IdentifierNode {
  return IdentifierNode.create(checkName(name, "alias"));
}

/** A fragment of `sql`. No value that was parsed from JSON is one: it has a function. */
export interface Fragment {
  /** Returns Kysely's node. */
  toOperationNode(): OperationNode;
}

/** Returns whether a value is a fragment of the `sql` template. */
export function isFragment(value: unknown): value is Fragment {
  return typeof value === "object" && value !== null && "toOperationNode" in value &&
    typeof value.toOperationNode === "function";
}
