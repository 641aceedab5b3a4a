/**
 * The handler of a function's module.
 *
 * @module
 */
import ts from "typescript";
import { usesArguments } from "./sites.ts";
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
    if (ts.isMethodDeclaration(property)) return property.name;
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

/** Returns why the handler cannot be wrapped; `undefined` if it can. */
export function whyNotWrapped(module: SourceModule, { form, call, value, handler }: Entry): string | undefined {
  if (ts.isMethodDeclaration(value.parent) && value.parent.name === value) {
    return "The handler is a method: write it as a property, fetch: async (request) => …";
  }
  if (!handler) {
    return /\.fetch$/.test(value.getText(module.file))
      ? "The handler is an app's fetch: with Hono, use pooledSupabase of the package's /hono"
      : "The handler is not a function of this file: wrap it by hand";
  }
  if (handler.parameters.length > 1) return "The handler takes a second argument, where the context would be";
  const [parameter] = handler.parameters;
  if (parameter && (!ts.isIdentifier(parameter.name) || parameter.dotDotDotToken || parameter.initializer)) {
    return "The handler takes its request apart in its parameter";
  }
  if (parameter?.questionToken) return "The handler's parameter is optional";
  if (!handler.body || usesArguments(module, handler)) return "The handler reads its arguments";
  if (call?.arguments[0] && ts.isObjectLiteralExpression(call.arguments[0])) {
    const has = call.arguments[0].properties.some((property) =>
      !property.name || !ts.isIdentifier(property.name) || property.name.text === "onError"
    );
    if (has) return "Deno.serve has options such as onError, whose place the wrapper's own responses to errors take";
  }
  if ("asteriskToken" in handler && handler.asteriskToken) return "The handler is a generator";
  if (form === "std serve" && call && call.arguments.length > 1) {
    return "serve has options: move to Deno.serve by hand";
  }
  if (ts.isIdentifier(value)) {
    const name = module.nameOf(handler);
    const symbol = name && module.symbolOf(name);
    const uses = symbol ? module.usesOf(symbol).filter((use) => use !== name) : [];
    if (uses.length > 1) return `${value.text} is also called elsewhere: its second parameter would be missing there`;
    const statement = ts.isFunctionDeclaration(handler) ? handler : ts.findAncestor(handler, ts.isVariableStatement);
    if (statement?.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
      return `${value.text} is exported: its second parameter would be missing in other files`;
    }
    if (ts.isVariableDeclaration(handler.parent) && handler.parent.type) {
      return `${value.text} has a type of its own, which has no second parameter`;
    }
  }
  for (const node of module.nodes()) {
    if (isCallOf(node, "Deno.upgradeWebSocket")) return "It serves WebSockets, which outlive the request";
  }
  return undefined;
}
