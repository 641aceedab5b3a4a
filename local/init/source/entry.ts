/**
 * The handler of a function's module.
 *
 * @module
 */
import ts from "typescript";
import { type FunctionNode, isCallOf, type SourceModule } from "./source_module.ts";

/** The form in which a module serves requests. */
export type EntryForm = "Deno.serve" | "std serve" | "export default";

/** The handler of a module. */
export interface Entry {
  readonly form: EntryForm;
  /** The call of `Deno.serve` or `serve`; `undefined` for a default export. */
  readonly call: ts.CallExpression | undefined;
  /** The expression that is the handler: a function, or its name. */
  readonly value: ts.Expression;
  /** The function, if it is in this module. */
  readonly handler: FunctionNode | undefined;
}

/** Returns whether a specifier names the HTTP server of std, whose `serve` Deno.serve replaces. */
export function isStdServer(specifier: string): boolean {
  return /^https:\/\/deno\.land\/std(@[^/]+)?\/http\/(server|mod)\.ts$/.test(specifier) ||
    /^(jsr:)?@std\/http/.test(specifier);
}

function isStdServe(module: SourceModule, node: ts.Node): node is ts.CallExpression {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return false;
  const imported = module.importOf(node.expression);
  return imported?.name === "serve" && isStdServer(imported.from);
}

function isFunctionExpression(node: ts.Expression): node is ts.ArrowFunction | ts.FunctionExpression {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node);
}

function toEntry(
  module: SourceModule,
  form: EntryForm,
  call: ts.CallExpression | undefined,
  value: ts.Expression,
): Entry {
  const handler = isFunctionExpression(value) ? value : ts.isIdentifier(value) ? module.functionOf(value) : undefined;
  return { form, call, value, handler };
}

/** Returns the value of `fetch` or `handler` in an object. */
function memberOf(node: ts.Expression | undefined, name: string): ts.Expression | undefined {
  if (!node || !ts.isObjectLiteralExpression(node)) return undefined;
  for (const property of node.properties) {
    if (!property.name || !ts.isIdentifier(property.name) || property.name.text !== name) continue;
    if (ts.isPropertyAssignment(property)) return property.initializer;
    if (ts.isShorthandPropertyAssignment(property)) return property.name;
  }
  return undefined;
}

/** Returns the handlers that a module serves: one, in a function that the runtime can run. */
export function entriesOf(module: SourceModule): Entry[] {
  const entries: Entry[] = [];
  for (const node of module.nodes()) {
    if (ts.isExportAssignment(node)) {
      const value = memberOf(node.expression, "fetch");
      if (value) entries.push(toEntry(module, "export default", undefined, value));
      continue;
    }
    const isStd = isStdServe(module, node);
    if (!isStd && !isCallOf(node, "Deno.serve")) continue;
    const [first, second] = node.arguments;
    const value = memberOf(first, "handler") ?? (first && ts.isObjectLiteralExpression(first) ? second : first);
    if (value) entries.push(toEntry(module, isStd ? "std serve" : "Deno.serve", node, value));
  }
  return entries;
}
