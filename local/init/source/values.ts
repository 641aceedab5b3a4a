/**
 * The values of expressions: constants are followed, and the arguments of calls.
 *
 * @module
 */
import ts from "typescript";
import { type FunctionNode, type SourceModule, unwrap } from "./source_module.ts";

/**
 * Returns the calls of a function of the module by its name; `undefined` if it is also used in another way, exported for
 * example.
 */
export function callsOf(module: SourceModule, owner: FunctionNode): ts.CallExpression[] | undefined {
  const name = module.nameOf(owner);
  const symbol = name && module.symbolOf(name);
  if (!symbol) return undefined;
  const statement = ts.isFunctionDeclaration(owner) ? owner : ts.findAncestor(owner, ts.isVariableStatement);
  if (statement?.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return undefined;
  const calls: ts.CallExpression[] = [];
  for (const use of module.usesOf(symbol)) {
    if (use === name || ts.isTypeQueryNode(use.parent)) continue;
    if (!ts.isCallExpression(use.parent) || use.parent.expression !== use) return undefined;
    calls.push(use.parent);
  }
  return calls;
}

/**
 * Returns the expressions that `node` may stand for: constants are followed, and so are parameters of functions of the
 * module that are not assigned. `undefined` stands for a value that is not known.
 */
export function* sourcesOf(
  module: SourceModule,
  node: ts.Expression,
  depth = 0,
): Generator<ts.Expression | undefined> {
  const value = unwrap(node);
  if (depth > 8) return yield undefined;
  if (!ts.isIdentifier(value)) return yield value;
  const constant = module.constantOf(value);
  if (constant) return yield* sourcesOf(module, constant.initializer, depth + 1);
  const symbol = module.symbolOf(value);
  const declaration = symbol?.declarations?.[0];
  if (!symbol || !declaration || !ts.isParameter(declaration)) return yield value;
  const owner = declaration.parent as FunctionNode;
  const calls = callsOf(module, owner);
  if (calls === undefined || calls.length === 0) return yield value;
  if (declaration.initializer || declaration.dotDotDotToken || module.isReassigned(symbol)) return yield undefined;
  const at = owner.parameters.indexOf(declaration);
  for (const call of calls) {
    const argument = call.arguments[at];
    if (argument === undefined || call.arguments.some(ts.isSpreadElement)) yield undefined;
    else yield* sourcesOf(module, argument, depth + 1);
  }
}
