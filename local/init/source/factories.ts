/**
 * Functions of other modules that create clients: `_shared/supabase.ts` and its like.
 *
 * @module
 */
import ts from "typescript";
import { type Creation, creationsOf, isKeyVariable, variableOf } from "./clients.ts";
import type { ExportedDeclaration, ModuleGraph } from "./graph.ts";
import { type FunctionNode, isFunctionNode, type SourceModule, unwrap } from "./source_module.ts";

/** A call of a factory, which the context's client may replace. */
export interface FactoryCall {
  readonly call: ts.CallExpression;
  /** The client that the factory creates. */
  readonly creation: Creation;
  /** The name of the factory. */
  readonly name: string;
  /** True if it declares a type of its own for its result. */
  readonly isTyped: boolean;
  /** The reason why its calls cannot be replaced; `undefined` if they can. */
  readonly reason: string | undefined;
}

function factoryFunction(declaration: ExportedDeclaration): FunctionNode | undefined {
  if (ts.isFunctionDeclaration(declaration)) return declaration;
  if (!ts.isVariableDeclaration(declaration)) return undefined;
  const { initializer } = declaration;
  return initializer && isFunctionNode(initializer) ? initializer : undefined;
}

/** The statements of a factory, as far as they are known to do nothing but create its client. */
class FactoryBody {
  readonly #module: SourceModule;
  readonly #factory: FunctionNode;
  readonly #creations: readonly Creation[];
  /** The variable of the module that keeps the client. */
  #cache: ts.Symbol | undefined;
  /** The client that the cache keeps. */
  #cached: Creation | undefined;

  constructor(module: SourceModule, factory: FunctionNode, creations: readonly Creation[]) {
    this.#module = module;
    this.#factory = factory;
    this.#creations = creations;
  }

  /** Returns the one client that the function returns; `undefined` if it may do anything else. */
  client(): Creation | undefined {
    const { body } = this.#factory;
    if (!body) return undefined;
    if (!ts.isBlock(body)) return this.#clientOf(body);
    const last = body.statements.at(-1);
    if (!last || !ts.isReturnStatement(last) || !last.expression) return undefined;
    const before = body.statements.slice(0, -1);
    if (!before.every((statement) => this.#isKnown(statement))) return undefined;
    return this.#clientOf(last.expression);
  }

  /** Returns the client that an expression is: created here, in a constant, or kept in the cache. */
  #clientOf(node: ts.Expression): Creation | undefined {
    const value = unwrap(node);
    const creation = this.#creations.find(({ call }) => call === value);
    if (creation) return creation;
    if (ts.isBinaryExpression(value)) return this.#clientOfCache(value);
    if (!ts.isIdentifier(value)) return undefined;
    const symbol = this.#module.symbolOf(value);
    if (symbol && symbol === this.#cache) return this.#cached;
    const constant = this.#module.constantOf(value);
    const isLocal = constant && this.#module.functionAround(constant) === this.#factory;
    if (!constant || !symbol || !isLocal || this.#module.usesOf(symbol).length !== 1) return undefined;
    return this.#clientOf(constant.initializer);
  }

  /** Returns the client of `cache = create()`, or `cache ??= create()`. */
  #clientOfCache({ left, right, operatorToken }: ts.BinaryExpression): Creation | undefined {
    const { kind } = operatorToken;
    const isAssigned = kind === ts.SyntaxKind.EqualsToken || kind === ts.SyntaxKind.QuestionQuestionEqualsToken ||
      kind === ts.SyntaxKind.BarBarEqualsToken;
    if (!isAssigned || !ts.isIdentifier(left)) return undefined;
    const symbol = this.#module.symbolOf(left);
    const creation = this.#creations.find(({ call }) => call === unwrap(right));
    // A client of one caller that is kept is another's later; anything else that uses the variable may change it.
    if (!symbol || !creation || creation.kind === "user") return undefined;
    const isOwn = this.#module.usesOf(symbol).every((use) => this.#module.functionAround(use) === this.#factory);
    if (!isOwn || this.#cache) return undefined;
    this.#cache = symbol;
    this.#cached = creation;
    return creation;
  }

  /** Returns whether a statement only reads variables of the environment, checks that they are set, or fills the cache. */
  #isKnown(statement: ts.Statement): boolean {
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.every(({ name, initializer }) =>
        ts.isIdentifier(name) && initializer !== undefined && this.#isHarmless(initializer)
      );
    }
    if (ts.isExpressionStatement(statement)) {
      const value = unwrap(statement.expression);
      if (!ts.isBinaryExpression(value)) return false;
      return this.#clientOfCache(value) !== undefined || this.#isCacheKey(value);
    }
    if (!ts.isIfStatement(statement) || statement.elseStatement) return false;
    const { expression, thenStatement } = statement;
    const inner = ts.isBlock(thenStatement) ? [...thenStatement.statements] : [thenStatement];
    const [only, ...more] = inner;
    if (only && ts.isThrowStatement(only) && more.length === 0) return this.#isMissingKey(expression);
    // `if (cache) return cache;`
    if (only && ts.isReturnStatement(only) && more.length === 0) {
      return only.expression !== undefined && this.#isCache(only.expression) && this.#isAboutCache(expression);
    }
    // `if (!cache) cache = create();`
    const isEmpty = ts.isPrefixUnaryExpression(expression) && expression.operator === ts.SyntaxKind.ExclamationToken
      ? expression.operand
      : undefined;
    if (!isEmpty || !inner.every((one) => this.#isKnown(one))) return false;
    const symbol = this.#module.symbolOf(unwrap(isEmpty));
    return symbol !== undefined && symbol === this.#cache;
  }

  /** Returns whether an expression is a variable of the module that the factory alone uses, and fills. */
  #isCache(node: ts.Expression): boolean {
    const value = unwrap(node);
    const symbol = ts.isIdentifier(value) ? this.#module.symbolOf(value) : undefined;
    const declaration = symbol?.declarations?.[0];
    return symbol !== undefined && declaration !== undefined && ts.isVariableDeclaration(declaration) &&
      this.#module.functionAround(declaration) === undefined &&
      (ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const) === 0 &&
      (declaration.initializer === undefined || this.#isEmpty(declaration.initializer)) &&
      this.#module.usesOf(symbol).every((use) => this.#module.functionAround(use) === this.#factory);
  }

  #isEmpty(node: ts.Expression): boolean {
    return node.kind === ts.SyntaxKind.NullKeyword || (ts.isIdentifier(node) && node.text === "undefined");
  }

  /** Returns whether a condition asks for nothing but whether the cache is filled, for the key that it has. */
  #isAboutCache(node: ts.Expression): boolean {
    const value = unwrap(node);
    if (!ts.isBinaryExpression(value)) return this.#isCache(value);
    const { kind } = value.operatorToken;
    if (kind === ts.SyntaxKind.AmpersandAmpersandToken) {
      return this.#isAboutCache(value.left) && this.#isAboutCache(value.right);
    }
    if (kind !== ts.SyntaxKind.EqualsEqualsEqualsToken) return false;
    return this.#isCache(value.left) && ts.isIdentifier(value.right) && this.#isHarmless(value.right);
  }

  /** Returns whether an assignment notes the key of what is cached. */
  #isCacheKey({ left, right, operatorToken }: ts.BinaryExpression): boolean {
    return operatorToken.kind === ts.SyntaxKind.EqualsToken && this.#isCache(left) && ts.isIdentifier(right) &&
      this.#isHarmless(right);
  }

  /** Returns whether an expression has no effect, and cannot fail: a variable, the client, texts, objects of these. */
  #isHarmless(node: ts.Expression): boolean {
    const value = unwrap(node);
    if (this.#creations.some(({ call }) => call === value) || variableOf(this.#module, value) !== undefined) {
      return true;
    }
    return [value, ...this.#module.nodes(value)].every((inner) => {
      if (ts.isNewExpression(inner) || ts.isAwaitExpression(inner) || isFunctionNode(inner)) return false;
      if (!ts.isCallExpression(inner)) return true;
      return /\.headers\??\.get\(["'`]authorization["'`]\)$/i.test(inner.getText(this.#module.file));
    });
  }

  /** Returns whether a condition asks for nothing but that keys are missing, which the pool reports as well. */
  #isMissingKey(node: ts.Expression): boolean {
    const value = unwrap(node);
    if (ts.isBinaryExpression(value) && value.operatorToken.kind === ts.SyntaxKind.BarBarToken) {
      return this.#isMissingKey(value.left) && this.#isMissingKey(value.right);
    }
    if (!ts.isPrefixUnaryExpression(value) || value.operator !== ts.SyntaxKind.ExclamationToken) return false;
    const name = variableOf(this.#module, value.operand);
    return name !== undefined && isKeyVariable(name);
  }
}

/** Returns the client that a function creates and returns, if it does nothing else. */
function clientOfFactory(module: SourceModule, factory: FunctionNode): Creation | undefined {
  const parameter = factory.parameters[0]?.name;
  const request = parameter && ts.isIdentifier(parameter) ? module.symbolOf(parameter) : undefined;
  const creation = new FactoryBody(module, factory, creationsOf(module, request)).client();
  if (!creation || factory.parameters.length > (creation.kind === "user" ? 1 : 0)) return undefined;
  if ((creation.kind === "user") !== (factory.parameters.length === 1)) return undefined;
  return creation;
}

/** Returns the client that a function contains and returns somehow, whatever else it does. */
function someClientOf(module: SourceModule, factory: FunctionNode): Creation | undefined {
  if (!factory.body) return undefined;
  const inside = creationsOf(module).filter(({ call }) => ts.findAncestor(call, (node) => node === factory));
  const [only, ...more] = inside;
  if (!only || more.length > 0) return undefined;
  // One that only uses a client has results of another kind; a call of a member shows it.
  return ts.isPropertyAccessExpression(only.call.parent) ? undefined : only;
}

/** Returns whether a function returns, as far as its text shows, a client. */
function returnsClient(module: SourceModule, factory: FunctionNode, { call }: Creation): boolean {
  const holds = (node: ts.Expression): boolean => {
    const value = unwrap(node);
    if (value === call) return true;
    if (!ts.isIdentifier(value)) return false;
    const symbol = module.symbolOf(value);
    return symbol?.declarations?.some((declaration) =>
          ts.isVariableDeclaration(declaration) &&
          (declaration === call.parent || ts.findAncestor(call, (node) => node === declaration) !== undefined)
        ) === true || (ts.isBinaryExpression(call.parent) && ts.isIdentifier(call.parent.left) &&
        symbol !== undefined && module.symbolOf(call.parent.left) === symbol);
  };
  if (factory.body && !ts.isBlock(factory.body)) return holds(factory.body);
  for (const node of factory.body ? module.nodes(factory.body) : []) {
    if (
      ts.isReturnStatement(node) && node.expression && module.functionAround(node) === factory && holds(node.expression)
    ) {
      return true;
    }
  }
  return false;
}

/** Returns whether a factory declares a type of its own for its result: any but `SupabaseClient` without arguments. */
function isTypedFactory(module: SourceModule, { type }: FunctionNode): boolean {
  if (!type || type.kind === ts.SyntaxKind.AnyKeyword) return false;
  if (!ts.isTypeReferenceNode(type) || !ts.isIdentifier(type.typeName)) return true;
  return type.typeArguments !== undefined || module.importOf(type.typeName)?.name !== "SupabaseClient";
}

/** Returns the calls of imported factories in a module. */
export function factoryCallsOf(module: SourceModule, graph: ModuleGraph): FactoryCall[] {
  const calls: FactoryCall[] = [];
  for (const node of module.nodes()) {
    if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) continue;
    const imported = module.importOf(node.expression);
    const found = imported && graph.declarationOf(module, imported);
    const factory = found && factoryFunction(found.node);
    if (!factory) continue;
    const name = node.expression.text;
    const isTyped = isTypedFactory(found.module, factory);
    const creation = clientOfFactory(found.module, factory);
    if (creation) {
      calls.push({ call: node, creation, name, isTyped, reason: creation.reason });
      continue;
    }
    const some = someClientOf(found.module, factory);
    if (some && returnsClient(found.module, factory, some)) {
      calls.push({ call: node, creation: some, name, isTyped, reason: "it does more than to create a client" });
    }
  }
  return calls;
}
