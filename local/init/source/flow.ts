/**
 * The way of a client through a program: where it is kept, to whom it is passed, and which of its members are used.
 *
 * @module
 */
import ts from "typescript";
import { type ClientKind, isCreateClient } from "./clients.ts";
import type { ModuleGraph } from "./graph.ts";
import { type FunctionNode, isAssignment, isFunctionNode, type SourceModule } from "./source_module.ts";
import { callsOf } from "./values.ts";
import { whyNotUsed } from "./members.ts";

/** A client, an object that contains it, or a function that uses it. */
type Role = "client" | "holder" | "closure";

/** A function of the project. */
interface Callee {
  readonly module: SourceModule;
  readonly node: FunctionNode;
}

/** Returns the constructor of a class; `undefined` if it inherits one, or has none. */
function constructorOf(node: ts.ClassLikeDeclaration): ts.ConstructorDeclaration | undefined {
  return node.members.find((member): member is ts.ConstructorDeclaration =>
    ts.isConstructorDeclaration(member) && member.body !== undefined
  );
}

/** Returns the leftmost expression of a chain of members and calls. */
function rootOf(node: ts.Expression): ts.Expression {
  let at = node;
  while (
    ts.isPropertyAccessExpression(at) || ts.isElementAccessExpression(at) || ts.isCallExpression(at) ||
    ts.isNonNullExpression(at) || ts.isParenthesizedExpression(at) || ts.isAsExpression(at)
  ) at = at.expression;
  return at;
}

/** Follows one client from its creation. */
export class ClientFlow {
  readonly #graph: ModuleGraph;
  readonly #kind: ClientKind;
  readonly #handler: FunctionNode;
  /** The functions that return the client, or what contains it. */
  readonly #returning = new Map<FunctionNode, Role>();
  /** The expressions that are the client, or may contain it, by module. */
  readonly visited: Map<SourceModule, Set<ts.Node>> = new Map();

  constructor(graph: ModuleGraph, kind: ClientKind, handler: FunctionNode) {
    this.#graph = graph;
    this.#kind = kind;
    this.#handler = handler;
  }

  /** Returns why a client of the context may not take the place of the client that `node` is; `undefined` if it may. */
  whyNot(module: SourceModule, node: ts.Expression): string | undefined {
    return this.#follow(module, node, "client");
  }

  #follow(module: SourceModule, node: ts.Node, role: Role): string | undefined {
    const seen = this.visited.get(module) ?? new Set();
    this.visited.set(module, seen);
    if (seen.has(node)) return undefined;
    seen.add(node);
    const { parent } = node;
    if (
      ts.isParenthesizedExpression(parent) || ts.isAsExpression(parent) || ts.isNonNullExpression(parent) ||
      ts.isSatisfiesExpression(parent) || ts.isAwaitExpression(parent)
    ) return this.#follow(module, parent, role);
    if (ts.isConditionalExpression(parent)) {
      return parent.condition === node ? undefined : this.#follow(module, parent, role);
    }
    if (ts.isBinaryExpression(parent)) return this.#ofBinary(module, parent, node, role);
    if (ts.isPropertyAccessExpression(parent) && parent.expression === node) {
      return role === "client" ? whyNotUsed(module, parent, this.#kind) : undefined;
    }
    if (ts.isElementAccessExpression(parent) && parent.expression === node) {
      return role === "client" ? "a member of it is read by a name in brackets" : undefined;
    }
    if ((ts.isVariableDeclaration(parent) || ts.isBindingElement(parent)) && parent.initializer === node) {
      return this.#ofName(module, parent.name, role);
    }
    if (ts.isParameter(parent) && parent.initializer === node) return this.#ofName(module, parent.name, role);
    const outer = role === "closure" ? role : "holder";
    if (ts.isPropertyAssignment(parent)) return this.#follow(module, parent.parent, outer);
    if (ts.isShorthandPropertyAssignment(parent) || ts.isSpreadAssignment(parent)) {
      return this.#follow(module, parent.parent, outer);
    }
    if (ts.isArrayLiteralExpression(parent) || ts.isSpreadElement(parent)) {
      return this.#follow(module, parent, outer);
    }
    if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) {
      return parent.expression === node ? undefined : this.#ofArgument(module, parent, node, role);
    }
    if (ts.isReturnStatement(parent)) return this.#ofReturn(module, module.functionAround(parent), role);
    if (ts.isArrowFunction(parent) && parent.body === node) return this.#ofReturn(module, parent, role);
    if (ts.isExportAssignment(parent) || ts.isExportSpecifier(parent)) return "it is exported";
    if (ts.isPropertyDeclaration(parent)) return "it is kept in a field, which outlives the request";
    return undefined;
  }

  #ofBinary(module: SourceModule, parent: ts.BinaryExpression, node: ts.Node, role: Role): string | undefined {
    if (isAssignment(parent)) {
      if (parent.left === node) return undefined;
      return this.#assigned(module, parent.left, role) ?? this.#follow(module, parent, role);
    }
    const { kind } = parent.operatorToken;
    const isValue = kind === ts.SyntaxKind.BarBarToken || kind === ts.SyntaxKind.QuestionQuestionToken ||
      (kind === ts.SyntaxKind.AmpersandAmpersandToken && parent.right === node) ||
      (kind === ts.SyntaxKind.CommaToken && parent.right === node);
    return isValue ? this.#follow(module, parent, role) : undefined;
  }

  #ofName(module: SourceModule, name: ts.BindingName, role: Role): string | undefined {
    if (!ts.isIdentifier(name)) return role === "client" ? "it is taken apart into variables" : undefined;
    const symbol = module.symbolOf(name);
    const owner = module.functionAround(name);
    for (const use of symbol ? module.usesOf(symbol) : []) {
      const reason = this.#follow(module, use, role) ?? this.#ofClosures(module, use, owner);
      if (reason) return reason;
    }
    return undefined;
  }

  /** Follows the functions around a use, up to the one that has the client: they keep it for as long as they exist. */
  #ofClosures(module: SourceModule, use: ts.Node, owner: FunctionNode | undefined): string | undefined {
    const end = owner ?? module.outermostFunction(use);
    for (let at = module.functionAround(use); at && at !== end; at = module.functionAround(at)) {
      const name = module.nameOf(at);
      const reason = name && ts.isIdentifier(name)
        ? this.#ofFunctionName(module, name)
        : this.#follow(module, ts.isMethodDeclaration(at) || ts.isAccessor(at) ? at.parent : at, "closure");
      if (reason) return reason;
    }
    return undefined;
  }

  #ofFunctionName(module: SourceModule, name: ts.Identifier): string | undefined {
    const symbol = module.symbolOf(name);
    for (const use of symbol ? module.usesOf(symbol) : []) {
      const reason = use === name ? undefined : this.#follow(module, use, "closure");
      if (reason) return reason;
    }
    return undefined;
  }

  /** Returns whether an expression is, or belongs to, a variable that all requests share. */
  #isShared(module: SourceModule, node: ts.Expression, depth = 0): boolean {
    const root = rootOf(node);
    if (!ts.isIdentifier(root)) return false;
    const declaration = module.symbolOf(root)?.declarations?.[0];
    if (!declaration) return true;
    if (ts.findAncestor(declaration, ts.isImportDeclaration)) return true;
    if (!ts.isVariableDeclaration(declaration)) return ts.isClassDeclaration(declaration);
    if (module.functionAround(declaration) === undefined) return true;
    return depth < 8 && declaration.initializer !== undefined && !ts.isNewExpression(declaration.initializer) &&
      ts.isIdentifier(rootOf(declaration.initializer)) && !ts.isCallExpression(declaration.initializer) &&
      this.#isShared(module, declaration.initializer, depth + 1);
  }

  #assigned(module: SourceModule, left: ts.Expression, role: Role): string | undefined {
    if (ts.isIdentifier(left)) {
      if (this.#isShared(module, left)) return `it is kept in ${left.text}, which outlives the request`;
      return this.#ofName(module, left, role);
    }
    const root = rootOf(left);
    if (root.kind === ts.SyntaxKind.ThisKeyword) {
      // The object that is being constructed is followed where it is created.
      const owner = ts.findAncestor(left, (node) => isFunctionNode(node) && !ts.isArrowFunction(node));
      if (owner && ts.isConstructorDeclaration(owner)) return undefined;
      return "it is kept in an object, which outlives the request";
    }
    if (this.#isShared(module, left)) return `it is kept in ${left.getText(module.file)}, which outlives the request`;
    return undefined;
  }

  #ofReturn(module: SourceModule, owner: FunctionNode | undefined, role: Role): string | undefined {
    if (!owner || owner === this.#handler) return undefined;
    this.#returning.set(owner, role);
    if (ts.isMethodDeclaration(owner) || ts.isAccessor(owner)) return undefined;
    const name = module.nameOf(owner);
    if (name) {
      for (const call of callsOf(module, owner) ?? []) {
        const reason = this.#follow(module, call, role);
        if (reason) return reason;
      }
      return undefined;
    }
    let at: ts.Node = owner;
    while (ts.isParenthesizedExpression(at.parent)) at = at.parent;
    if (ts.isCallExpression(at.parent)) {
      return this.#follow(module, at.parent, at.parent.expression === at ? role : "closure");
    }
    return undefined;
  }

  #ofArgument(
    module: SourceModule,
    call: ts.CallExpression | ts.NewExpression,
    node: ts.Node,
    role: Role,
  ): string | undefined {
    const at = call.arguments?.findIndex((argument) => argument === node) ?? -1;
    const callee = call.expression;
    if (ts.isCallExpression(call) && isCreateClient(module, callee)) return undefined;
    const root = rootOf(callee);
    const inner = ts.isFunctionExpression(root) || ts.isArrowFunction(root) ? { module, node: root } : undefined;
    const target = inner ?? (ts.isIdentifier(root) ? this.#callee(module, call, root, role) : undefined);
    if (typeof target === "string") return target;
    const parameter = target?.node.parameters[at];
    if (target && parameter) {
      const reason = this.#ofName(target.module, parameter.name, role);
      if (reason) return reason;
    }
    if (ts.isNewExpression(call)) return this.#follow(module, call, role === "closure" ? role : "holder");
    if (target) {
      const returned = this.#returning.get(target.node);
      return returned && this.#follow(module, call, returned);
    }
    const isGlobal = ts.isIdentifier(root) && module.symbolOf(root) === undefined;
    return isGlobal && role !== "closure" ? this.#follow(module, call, "holder") : undefined;
  }

  /** Returns the function that a call calls; a reason if the client may not be passed to it; `undefined` if it is unknown. */
  #callee(
    module: SourceModule,
    call: ts.CallExpression | ts.NewExpression,
    root: ts.Identifier,
    role: Role,
  ): Callee | string | undefined {
    const shown = call.expression.getText(module.file);
    const declaration = module.symbolOf(root)?.declarations?.[0];
    if (!declaration) return undefined; // a global: Promise.all, console.log, Object.freeze
    const imported = module.importOf(root);
    if (imported) {
      const isMember = ts.isPropertyAccessExpression(call.expression);
      const name = imported.name === "*" && isMember
        ? (call.expression as ts.PropertyAccessExpression).name.text
        : imported.name;
      if (isMember && imported.name !== "*") {
        return role === "closure" ? undefined : `it is passed to ${shown}, which may keep it`;
      }
      const found = this.#graph.declarationOf(module, { name, from: imported.from });
      if (found) {
        return this.#functionIn(found.module, found.node) ?? `it is passed to ${shown}, which is not a function`;
      }
      // A function that is passed to a library is called by it, now or not at all: `retry(() => client.from())`.
      if (role === "closure") return undefined;
      const { from } = module.originOf(root) ?? imported;
      return `it is passed to ${shown} of ${JSON.stringify(from)}, which is not a module of this project`;
    }
    if (call.expression === root) {
      if (ts.isFunctionDeclaration(declaration) || ts.isClassLike(declaration)) {
        return this.#functionIn(module, declaration);
      }
      const value = module.functionOf(root);
      return value && { module, node: value };
    }
    return this.#isShared(module, root) ? `it is passed to ${shown}, which outlives the request` : undefined;
  }

  #functionIn(module: SourceModule, node: ts.Node): Callee | undefined {
    if (ts.isClassLike(node)) {
      const constructor = constructorOf(node);
      return constructor && { module, node: constructor };
    }
    if (ts.isFunctionDeclaration(node)) return { module, node };
    const value = ts.isVariableDeclaration(node) ? node.initializer : undefined;
    return value && (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) ? { module, node: value } : undefined;
  }
}
