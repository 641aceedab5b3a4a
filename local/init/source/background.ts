/**
 * Work that goes on after the response: the context's clients refuse it unless it is given to `waitUntil`.
 *
 * @module
 */
import ts from "typescript";
import { type FunctionNode, isAssignment, isFunctionNode, type SourceModule } from "./source_module.ts";

const LATER = /^(setTimeout|setInterval|setImmediate|queueMicrotask|addEventListener|requestIdleCallback)$/;
const CHAIN = /^(then|catch|finally)$/;

function isAsync(node: FunctionNode): boolean {
  return node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword) ?? false;
}

/** Returns the name of what a call calls: its last part. */
function calleeName({ expression }: ts.CallExpression): string {
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text;
  return ts.isIdentifier(expression) ? expression.text : "";
}

/** Returns whether no code waits for the promise that an expression is. */
function isDropped(module: SourceModule, node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isParenthesizedExpression(parent) || ts.isAsExpression(parent) || ts.isNonNullExpression(parent)) {
    return isDropped(module, parent);
  }
  if (ts.isVoidExpression(parent) || ts.isExpressionStatement(parent)) return true;
  if (isAssignment(parent)) return false;
  if (ts.isBinaryExpression(parent) || ts.isConditionalExpression(parent)) return isDropped(module, parent);
  if (ts.isPropertyAccessExpression(parent) && CHAIN.test(parent.name.text) && ts.isCallExpression(parent.parent)) {
    return isDropped(module, parent.parent);
  }
  if (ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name)) {
    const symbol = module.symbolOf(parent.name);
    return symbol !== undefined && module.usesOf(symbol).length === 0;
  }
  return false;
}

/** Finds work of a module that uses clients and that nothing waits for. */
export class BackgroundFinder {
  readonly #module: SourceModule;
  readonly #handler: FunctionNode;
  readonly #seen = new Set<FunctionNode>();

  constructor(module: SourceModule, handler: FunctionNode) {
    this.#module = module;
    this.#handler = handler;
  }

  /** Returns why the client that `node` is may be used after the response; `undefined` if each use is waited for. */
  find(node: ts.Node): string | undefined {
    const owner = this.#module.functionAround(node);
    if (!owner || owner === this.#handler || this.#seen.has(owner)) return undefined;
    this.#seen.add(owner);
    return this.#ofFunction(owner);
  }

  #at(node: ts.Node): string {
    return `line ${this.#module.lineOf(node)}`;
  }

  #ofFunction(owner: FunctionNode): string | undefined {
    const name = this.#module.nameOf(owner);
    const symbol = name && this.#module.symbolOf(name);
    if (symbol) {
      for (const use of this.#module.usesOf(symbol)) {
        const reason = this.#ofReference(use, owner);
        if (reason) return reason;
      }
      return undefined;
    }
    let at: ts.Node = owner;
    while (ts.isParenthesizedExpression(at.parent)) at = at.parent;
    return this.#ofReference(at, owner);
  }

  /** Examines a function where it is called, or passed on to be called. */
  #ofReference(node: ts.Node, owner: FunctionNode): string | undefined {
    const { parent } = node;
    if (!ts.isCallExpression(parent)) return ts.isNewExpression(parent) ? undefined : this.#ofHolder(node);
    if (parent.expression === node) {
      if (isAsync(owner) && isDropped(this.#module, parent)) {
        return `work that is not awaited uses it (${this.#at(parent)}): give it to EdgeRuntime.waitUntil`;
      }
      return this.find(parent);
    }
    const name = calleeName(parent);
    if (LATER.test(name)) return `${name} uses it later (${this.#at(parent)}), when the request may have ended`;
    const isLost = CHAIN.test(name) || (isAsync(owner) && name !== "waitUntil");
    if (isLost && (name === "forEach" || isDropped(this.#module, parent))) {
      return `work that is not awaited uses it (${this.#at(parent)}): give it to EdgeRuntime.waitUntil`;
    }
    return this.find(parent);
  }

  /** Examines a function that is kept in an object: it is called where that is used, by code that is not known. */
  #ofHolder(node: ts.Node): string | undefined {
    const outer = ts.findAncestor(node.parent, isFunctionNode);
    return outer ? this.find(node.parent) : undefined;
  }
}
