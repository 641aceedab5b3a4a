/**
 * The response that a handler gives to callers without a user.
 *
 * @module
 */
import ts from "typescript";
import type { FunctionNode, SourceModule } from "./source_module.ts";

function isStatus401(node: ts.Node): boolean {
  return ts.isNumericLiteral(node) && node.text === "401";
}

/** Returns whether an expression is a call that creates a response with status 401, as far as its text says. */
function createsRejection(node: ts.Expression): node is ts.CallExpression | ts.NewExpression {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return false;
  return (node.arguments ?? []).some((argument) =>
    isStatus401(argument) ||
    (ts.isObjectLiteralExpression(argument) &&
      argument.properties.some((property) =>
        ts.isPropertyAssignment(property) && property.name.getText() === "status" && isStatus401(property.initializer)
      ))
  );
}

/**
 * Returns whether every name in an expression exists outside of functions and stays, so that it means the same elsewhere.
 */
function isIndependent(module: SourceModule, node: ts.Node, isRemoved: (name: ts.Identifier) => boolean): boolean {
  for (const inner of module.nodes(node)) {
    if (ts.isAwaitExpression(inner) || inner.kind === ts.SyntaxKind.ThisKeyword) return false;
    if (!ts.isIdentifier(inner)) continue;
    const isMember = (ts.isPropertyAccessExpression(inner.parent) || ts.isPropertyAssignment(inner.parent)) &&
      inner.parent.name === inner;
    if (isMember) continue;
    if (isRemoved(inner)) return false;
    const declarations = module.symbolOf(inner)?.declarations ?? [];
    if (declarations.some((declaration) => module.functionAround(declaration) !== undefined)) return false;
  }
  return true;
}

/**
 * Returns the expression of a handler's own response with status 401, if it uses nothing of the handler.
 *
 * @param isRemoved Returns whether a name does not mean the same after the rewriting.
 */
export function ownRejectionOf(
  module: SourceModule,
  handler: FunctionNode,
  isRemoved: (name: ts.Identifier) => boolean,
): ts.Expression | undefined {
  const found: { readonly value: ts.Expression; readonly isAboutUser: boolean }[] = [];
  for (const node of handler.body ? module.nodes(handler.body) : []) {
    if (!ts.isReturnStatement(node) || !node.expression || !createsRejection(node.expression)) continue;
    if (!isIndependent(module, node.expression, isRemoved)) continue;
    const test = ts.findAncestor(node, ts.isIfStatement)?.expression.getText(module.file) ?? "";
    found.push({ value: node.expression, isAboutUser: /user|claims/i.test(test) });
  }
  return (found.find(({ isAboutUser }) => isAboutUser) ?? found[0])?.value;
}
