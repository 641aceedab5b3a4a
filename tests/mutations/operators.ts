/**
 * Mutation operators over the syntax tree of a module.
 *
 * @module
 */

/** The kind of a change. */
export type Operator =
  | "negate a condition"
  | "move a bound"
  | "invert an equality"
  | "swap and/or"
  | "drop a default"
  | "swap an arithmetic operator"
  | "drop a not"
  | "drop a statement"
  | "drop a throw"
  | "drop an await"
  | "change a number"
  | "flip a boolean"
  | "empty a string"
  | "return early"
  | "return undefined";

/** A change of a module: the text between two offsets is replaced. */
export interface SourceMutation {
  readonly operator: Operator;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const BOUNDS: Readonly<Record<string, string>> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const EQUALITIES: Readonly<Record<string, string>> = { "===": "!==", "!==": "===", "==": "!=", "!=": "==" };
const ARITHMETIC: Readonly<Record<string, string>> = { "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*" };

/** Strings longer than this, or with a space, are messages: tests of their wording are not the point. */
const MAX_STRING = 30;

type Range = readonly [start: number, end: number];

/** A node of the parser of `deno lint`. */
interface Ranged {
  readonly range: Range;
}

/** Returns the range of an operator that stands between two operands. */
function operatorRange(text: string, operator: string, left: Ranged, right: Ranged): Range {
  const start = text.indexOf(operator, left.range[1]);
  if (start < 0 || start >= right.range[0]) throw new Error(`Cannot find the operator ${operator}`);
  return [start, start + operator.length];
}

/** Returns every mutation of a module, in order of its text. Works under `deno test` only, which offers the parser. */
export function findMutations(path: string, source: string): SourceMutation[] {
  const found: SourceMutation[] = [];
  const textOf = ({ range: [start, end] }: Ranged) => source.slice(start, end);
  const add = (operator: Operator, [start, end]: Range, replacement: string) => {
    if (source.slice(start, end) !== replacement) found.push({ operator, start, end, replacement });
  };
  const negate = ({ test }: { readonly test: Ranged }) => add("negate a condition", test.range, `!(${textOf(test)})`);
  const returnEarly = ({ body }: { readonly body: (Ranged & { readonly type: string }) | null }) => {
    if (body?.type !== "BlockStatement" || textOf(body).slice(1, -1).trim() === "") return;
    add("return early", [body.range[0], body.range[0] + 1], "{ return;");
  };
  const plugin: Deno.lint.Plugin = {
    name: "mutations",
    rules: {
      mutations: {
        create: () => ({
          IfStatement: negate,
          ConditionalExpression: negate,
          BinaryExpression: ({ operator, left, right }) => {
            for (
              const [name, swaps] of [
                ["move a bound", BOUNDS],
                ["invert an equality", EQUALITIES],
                ["swap an arithmetic operator", ARITHMETIC],
              ] as const
            ) {
              const swapped = swaps[operator];
              if (swapped !== undefined) add(name, operatorRange(source, operator, left, right), swapped);
            }
          },
          LogicalExpression: ({ operator, left, right, range }) => {
            if (operator === "??") return add("drop a default", range, textOf(left));
            add("swap and/or", operatorRange(source, operator, left, right), operator === "&&" ? "||" : "&&");
          },
          UnaryExpression: ({ operator, argument, range }) => {
            if (operator === "!") add("drop a not", range, textOf(argument));
          },
          ExpressionStatement: ({ expression: { type }, range }) => {
            // A call of super() is needed by the language.
            if (/^(Call|Await|Assignment|Update)Expression$/.test(type) && !textOf({ range }).startsWith("super(")) {
              add("drop a statement", range, ";");
            }
          },
          ThrowStatement: ({ range }) => add("drop a throw", range, ";"),
          AwaitExpression: ({ argument, range }) => add("drop an await", range, textOf(argument)),
          ReturnStatement: ({ argument }) => {
            if (argument && textOf(argument) !== "undefined") add("return undefined", argument.range, "undefined");
          },
          Literal: (node) => {
            const { parent, range, value } = node;
            if (/^(TS|Import|Export)/.test(parent.type)) return;
            // A name of a property is no value.
            if (parent.type === "Property" && parent.key === node) return;
            // The parser reads 1_000 as NaN.
            if (typeof value === "number") {
              add("change a number", range, String(Number(textOf(node).replaceAll("_", "")) + 1));
            } else if (typeof value === "boolean") add("flip a boolean", range, String(!value));
            else if (typeof value === "string" && value !== "" && !value.includes(" ") && value.length <= MAX_STRING) {
              add("empty a string", range, '""');
            }
          },
          FunctionDeclaration: returnEarly,
          FunctionExpression: (node) => {
            // A constructor that returns early is an object without its fields, which every test would notice.
            if (node.parent.type === "MethodDefinition" && node.parent.kind === "constructor") return;
            returnEarly(node);
          },
          ArrowFunctionExpression: returnEarly,
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, path, source);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** Applies a mutation to the text of its module. */
export function applyMutation(source: string, { start, end, replacement }: SourceMutation): string {
  return source.slice(0, start) + replacement + source.slice(end);
}
