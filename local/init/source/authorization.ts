/**
 * The caller's Authorization header in a handler: the expressions that are it, or the token in it.
 *
 * @module
 */
import ts from "typescript";
import { type SourceModule } from "./source_module.ts";
import { sourcesOf } from "./values.ts";

/** The whole header, or the token after `Bearer `. */
type Part = "header" | "token";

/** Returns whether an expression is the request that the handler received. */
function isRequest(module: SourceModule, node: ts.Expression, request: ts.Symbol): boolean {
  const values = [...sourcesOf(module, node)];
  return values.length > 0 &&
    values.every((value) =>
      value !== undefined && ts.isIdentifier(value) && module.symbolOf(value) === request &&
      !module.isReassigned(request)
    );
}

/** Returns whether a call removes `Bearer ` from the header that it is a method of, and nothing else. */
function removesScheme(name: string, call: ts.CallExpression): boolean {
  const texts = call.arguments.map((argument) =>
    ts.isStringLiteralLike(argument) || ts.isNumericLiteral(argument) || ts.isRegularExpressionLiteral(argument)
      ? argument.text
      : undefined
  );
  const [first, second] = texts;
  if (/^replace(All)?$/.test(name)) {
    return second === "" && texts.length === 2 && first !== undefined &&
      (/^bearer\s$/i.test(first) || /^\/\^?bearer(\s|\\s[+*]?)\/[gi]*$/i.test(first));
  }
  return /^(slice|substring|substr)$/.test(name) && texts.length === 1 &&
    (first === "7" || /^["'`]Bearer ["'`]\.length$/.test(call.arguments[0]?.getText() ?? ""));
}

/** Returns whether an expression is `header.split(" ")`, whose second part is the token. */
function splitsScheme(node: ts.Expression): ts.Expression | undefined {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  const [separator] = node.arguments;
  const isSplit = node.expression.name.text === "split" && node.arguments.length === 1 && separator !== undefined &&
    ts.isStringLiteralLike(separator) && /^(Bearer )?$|^ $/.test(separator.text) && separator.text !== "";
  return isSplit ? node.expression.expression : undefined;
}

/** Returns the part of the header that an expression is; `undefined` for anything else. */
function partOf(module: SourceModule, node: ts.Expression, request: ts.Symbol): Part | undefined {
  const parts = new Set<Part | undefined>();
  for (const value of sourcesOf(module, node)) parts.add(value && partOfValue(module, value, request));
  const [part] = parts;
  return parts.size === 1 ? part : undefined;
}

function partOfValue(module: SourceModule, value: ts.Expression, request: ts.Symbol): Part | undefined {
  if (ts.isTemplateExpression(value)) {
    const [span] = value.templateSpans;
    const isBearer = value.head.text === "Bearer " && value.templateSpans.length === 1 && span?.literal.text === "";
    return isBearer && partOf(module, span.expression, request) === "token" ? "header" : undefined;
  }
  if (ts.isBinaryExpression(value)) {
    const { left, right, operatorToken } = value;
    if (operatorToken.kind === ts.SyntaxKind.PlusToken) {
      const isBearer = ts.isStringLiteralLike(left) && left.text === "Bearer ";
      return isBearer && partOf(module, right, request) === "token" ? "header" : undefined;
    }
    // `headers.get("Authorization") || headers.get("authorization")`
    const isFallback = operatorToken.kind === ts.SyntaxKind.BarBarToken ||
      operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken;
    const part = isFallback ? partOf(module, left, request) : undefined;
    return part !== undefined && partOf(module, right, request) === part ? part : undefined;
  }
  if (ts.isElementAccessExpression(value)) {
    const header = splitsScheme(value.expression);
    const isSecond = ts.isNumericLiteral(value.argumentExpression) && value.argumentExpression.text === "1";
    return header && isSecond && partOf(module, header, request) === "header" ? "token" : undefined;
  }
  if (!ts.isCallExpression(value) || !ts.isPropertyAccessExpression(value.expression)) return undefined;
  const { name, expression } = value.expression;
  if (name.text === "trim") return partOf(module, expression, request);
  if (name.text === "pop" || name.text === "at") {
    const header = splitsScheme(expression);
    return header && partOf(module, header, request) === "header" ? "token" : undefined;
  }
  if (removesScheme(name.text, value)) {
    return partOf(module, expression, request) === "header" ? "token" : undefined;
  }
  const [argument] = value.arguments;
  const isHeader = name.text === "get" && argument !== undefined && ts.isStringLiteralLike(argument) &&
    argument.text.toLowerCase() === "authorization" && ts.isPropertyAccessExpression(expression) &&
    expression.name.text === "headers" && isRequest(module, expression.expression, request);
  return isHeader ? "header" : undefined;
}

/** Returns whether an expression is the caller's whole Authorization header. */
export function isAuthorization(module: SourceModule, node: ts.Expression, request: ts.Symbol): boolean {
  return partOf(module, node, request) === "header";
}

const EQUALITY = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
  ts.SyntaxKind.EqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsToken,
]);

function isAbsence(node: ts.Expression): boolean {
  return node.kind === ts.SyntaxKind.NullKeyword || (ts.isIdentifier(node) && node.text === "undefined") ||
    (ts.isStringLiteralLike(node) && /^(Bearer ?|null|undefined)?$/i.test(node.text));
}

const COMPARES = /equal|compare|^includes$|^has$|^jwtVerify$|^verify$/i;

/** Returns whether an expression reads the Authorization header of any request, directly or through constants. */
function readsAuthorization(module: SourceModule, node: ts.Node, depth = 0): boolean {
  if (depth > 6) return false;
  return [node, ...module.nodes(node)].some((inner) => {
    if (
      ts.isCallExpression(inner) && ts.isPropertyAccessExpression(inner.expression) &&
      /^(get|header)$/.test(inner.expression.name.text)
    ) {
      const [argument] = inner.arguments;
      return argument !== undefined && ts.isStringLiteralLike(argument) && /^authorization$/i.test(argument.text);
    }
    if (!ts.isIdentifier(inner)) return false;
    const declaration = module.symbolOf(inner)?.declarations?.[0];
    if (!declaration || !ts.isVariableDeclaration(declaration) || !declaration.initializer) return false;
    // What Auth says of a token is not the token.
    const isText = ![declaration.initializer, ...module.nodes(declaration.initializer)].some(ts.isAwaitExpression);
    return isText && ts.isIdentifier(declaration.name) &&
      readsAuthorization(module, declaration.initializer, depth + 1);
  });
}

/**
 * Returns the place where a module compares the Authorization header with a value of its own, or verifies it by itself:
 * it then accepts credentials that are not a user's token, which the wrapper would reject before the handler runs.
 */
export function authorizationComparison(module: SourceModule): ts.Node | undefined {
  for (const node of module.nodes()) {
    if (ts.isBinaryExpression(node) && EQUALITY.has(node.operatorToken.kind)) {
      const { left, right } = node;
      if (isAbsence(left) || isAbsence(right)) continue;
      const isTypeOrLength = [left, right].some((side) =>
        ts.isTypeOfExpression(side) || ts.isNumericLiteral(side) || ts.isPropertyAccessExpression(side)
      );
      if (isTypeOrLength) continue;
      if (readsAuthorization(module, left) || readsAuthorization(module, right)) return node;
    }
    if (!ts.isCallExpression(node) || node.arguments.length === 0) continue;
    const callee = node.expression;
    const name = ts.isPropertyAccessExpression(callee) ? callee.name.text : ts.isIdentifier(callee) ? callee.text : "";
    if (!COMPARES.test(name) || node.arguments.every((argument) => isAbsence(argument))) continue;
    const receiver = ts.isPropertyAccessExpression(callee) ? [callee.expression] : [];
    if ([...node.arguments, ...receiver].some((part) => readsAuthorization(module, part))) return node;
  }
  return undefined;
}
