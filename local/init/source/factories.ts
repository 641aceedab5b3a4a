/**
 * Functions of other modules that create clients: `_shared/supabase.ts` and its like.
 *
 * @module
 */
import ts from "typescript";
import { type Creation, creationsOf } from "./clients.ts";
import { ModuleGraph } from "./graph.ts";
import { type FunctionNode, isFunctionNode, type SourceModule, unwrap } from "./source_module.ts";

/** A call of a factory, which the context's client may replace. */
export interface FactoryCall {
  readonly call: ts.CallExpression;
  /** The client that the factory creates. */
  readonly creation: Creation;
  /** The name of the factory. */
  readonly name: string;
  /** The module of the factory. */
  readonly module: SourceModule;
}

/** Returns the expressions that a function returns; its inner functions do not count. */
function returnsOf(node: FunctionNode): ts.Expression[] {
  if (!node.body) return [];
  if (!ts.isBlock(node.body)) return [node.body];
  const found: ts.Expression[] = [];
  const visit = (inner: ts.Node): void => {
    if (isFunctionNode(inner)) return;
    if (ts.isReturnStatement(inner) && inner.expression) found.push(inner.expression);
    inner.forEachChild(visit);
  };
  node.body.forEachChild(visit);
  return found;
}

function factoryFunction(module: SourceModule, name: string): FunctionNode | undefined {
  const declaration = ModuleGraph.exported(module, name);
  if (!declaration) return undefined;
  if (ts.isFunctionDeclaration(declaration)) return declaration;
  const { initializer } = declaration;
  return initializer && isFunctionNode(initializer) ? initializer : undefined;
}

/** Returns the client that a function creates and returns, if it does nothing else. */
export function clientOfFactory(module: SourceModule, name: string): Creation | undefined {
  const factory = factoryFunction(module, name);
  const returned = factory ? returnsOf(factory) : [];
  const [only] = returned;
  if (!factory || returned.length !== 1 || !only) return undefined;
  let value = unwrap(only);
  if (ts.isIdentifier(value)) {
    const constant = module.constantOf(value);
    const symbol = module.symbolOf(value);
    if (!constant || !symbol || module.usesOf(symbol).filter((use) => use !== constant.name).length > 1) {
      return undefined;
    }
    value = unwrap(constant.initializer);
  }
  const parameter = factory.parameters[0]?.name;
  const request = parameter && ts.isIdentifier(parameter) ? module.symbolOf(parameter) : undefined;
  const creation = creationsOf(module, request).find(({ call }) => call === value);
  if (!creation || factory.parameters.length > (creation.kind === "user" ? 1 : 0)) return undefined;
  return creation;
}

/** Returns the calls of imported factories in a module. */
export function factoryCallsOf(module: SourceModule, graph: ModuleGraph): FactoryCall[] {
  const calls: FactoryCall[] = [];
  for (const node of module.nodes()) {
    if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) continue;
    const imported = module.importOf(node.expression);
    const path = imported && ModuleGraph.resolve(module, imported.from);
    const target = path && graph.at(path);
    const creation = target && imported && clientOfFactory(target, imported.name);
    if (creation) calls.push({ call: node, creation, name: node.expression.text, module: target });
  }
  return calls;
}
