/**
 * The branch of a handler that responds to preflights.
 *
 * @module
 */
import ts from "typescript";
import type { FunctionNode, SourceModule } from "./source_module.ts";

/** A branch `if (req.method === "OPTIONS") return new Response(…, { headers })`. */
export interface CorsBranch {
  readonly statement: ts.IfStatement;
  /** The name of the headers, a constant of the module or an import. */
  readonly headers: ts.Identifier;
}

function isOptionsTest(node: ts.Expression, request: string): boolean {
  if (!ts.isBinaryExpression(node)) return false;
  const { kind } = node.operatorToken;
  if (kind !== ts.SyntaxKind.EqualsEqualsEqualsToken && kind !== ts.SyntaxKind.EqualsEqualsToken) return false;
  const [left, right] = ts.isStringLiteralLike(node.left) ? [node.right, node.left] : [node.left, node.right];
  return ts.isPropertyAccessExpression(left) && left.name.text === "method" && ts.isIdentifier(left.expression) &&
    left.expression.text === request && ts.isStringLiteralLike(right) && right.text === "OPTIONS";
}

function onlyStatement(node: ts.Statement): ts.Statement | undefined {
  if (!ts.isBlock(node)) return node;
  return node.statements.length === 1 ? node.statements[0] : undefined;
}

/** Returns the name of the headers of `new Response(body, { headers: name })`, with a status of success at most. */
function headersOf(node: ts.Expression | undefined): ts.Identifier | undefined {
  if (!node || !ts.isNewExpression(node) || node.expression.getText() !== "Response") return undefined;
  const [body, init] = node.arguments ?? [];
  const isPlain = body !== undefined &&
    (ts.isStringLiteralLike(body) || body.kind === ts.SyntaxKind.NullKeyword || body.getText() === "undefined");
  if (!isPlain || !init || !ts.isObjectLiteralExpression(init)) return undefined;
  let headers: ts.Identifier | undefined;
  for (const property of init.properties) {
    const name = property.name?.getText();
    if (name === "headers" && ts.isPropertyAssignment(property) && ts.isIdentifier(property.initializer)) {
      headers = property.initializer;
    } else if (
      name === "status" && ts.isPropertyAssignment(property) && /^20[04]$/.test(property.initializer.getText())
    ) {
      continue;
    } else return undefined;
  }
  return headers;
}

/** Returns whether a constant is an object of texts. */
export function isRecordOfTexts(node: ts.Expression): boolean {
  const value = ts.isAsExpression(node) || ts.isSatisfiesExpression(node) ? node.expression : node;
  return ts.isObjectLiteralExpression(value) &&
    value.properties.every((property) =>
      ts.isPropertyAssignment(property) && ts.isStringLiteralLike(property.initializer) &&
      (ts.isIdentifier(property.name) || ts.isStringLiteralLike(property.name))
    );
}

/** Returns the branch that the option `cors` can replace, if it is the handler's first statement. */
export function corsBranchOf(handler: FunctionNode): CorsBranch | undefined {
  const request = handler.parameters[0]?.name;
  const statement = handler.body && ts.isBlock(handler.body) ? handler.body.statements[0] : undefined;
  if (!request || !ts.isIdentifier(request) || !statement || !ts.isIfStatement(statement)) return undefined;
  if (statement.elseStatement || !isOptionsTest(statement.expression, request.text)) return undefined;
  const only = onlyStatement(statement.thenStatement);
  const headers = only && ts.isReturnStatement(only) ? headersOf(only.expression) : undefined;
  return headers && { statement, headers };
}

/** Returns whether the handler decides about preflights itself, in whichever way. */
export function mentionsPreflights(module: SourceModule): ts.Node | undefined {
  for (const node of module.nodes()) if (ts.isStringLiteralLike(node) && node.text === "OPTIONS") return node;
  return undefined;
}
