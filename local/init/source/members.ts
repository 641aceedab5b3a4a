/**
 * The members of a client that a client of the context has, with the same effect.
 *
 * @module
 */
import ts from "typescript";
import type { ClientKind } from "./clients.ts";
import type { SourceModule } from "./source_module.ts";

function isCalled(node: ts.Expression): ts.CallExpression | undefined {
  return ts.isCallExpression(node.parent) && node.parent.expression === node ? node.parent : undefined;
}

function whyNotAuth(access: ts.PropertyAccessExpression, kind: ClientKind): string | undefined {
  const member = access.parent;
  if (!ts.isPropertyAccessExpression(member) || member.expression !== access) return "its auth is passed on";
  const name = member.name.text;
  if (name === "admin") return kind === "admin" ? undefined : "auth.admin needs the service role key";
  if (name !== "getUser" && name !== "getClaims") {
    return `auth.${name} outlives a request, which the context's clients reject`;
  }
  return isCalled(member) ? undefined : `auth.${name} is passed on`;
}

/** Returns whether the options of an invocation are absent, or written out and without credentials. */
function hasNoCredentials(options: ts.Expression | undefined): boolean {
  if (options === undefined) return true;
  if (!ts.isObjectLiteralExpression(options)) return false;
  return options.properties.every((property) => {
    const { name } = property;
    if (!name || !(ts.isIdentifier(name) || ts.isStringLiteralLike(name))) return false;
    if (name.text !== "headers") return true;
    return ts.isPropertyAssignment(property) && ts.isObjectLiteralExpression(property.initializer) &&
      property.initializer.properties.every((header) =>
        header.name && (ts.isIdentifier(header.name) || ts.isStringLiteralLike(header.name)) &&
        !/^(authorization|apikey)$/i.test(header.name.text)
      );
  });
}

function whyNotFunctions(access: ts.PropertyAccessExpression, kind: ClientKind): string | undefined {
  const member = access.parent;
  const call = ts.isPropertyAccessExpression(member) && member.expression === access ? isCalled(member) : undefined;
  if (!call || (member as ts.PropertyAccessExpression).name.text !== "invoke") return "its functions are passed on";
  if (kind !== "user") {
    return "functions.invoke with a newer key sends no token, which functions with verify_jwt ask for";
  }
  return hasNoCredentials(call.arguments[1]) ? undefined : "functions.invoke has headers that may replace the caller's";
}

/**
 * Returns why the context's client may not take the place of a client, by one member of it that is used; `undefined` if
 * it may.
 *
 * @param access The member of the client.
 */
export function whyNotUsed(
  module: SourceModule,
  access: ts.PropertyAccessExpression,
  kind: ClientKind,
): string | undefined {
  const name = access.name.text;
  if (name === "auth") return whyNotAuth(access, kind);
  if (name === "functions") return whyNotFunctions(access, kind);
  if (name === "storage") return undefined;
  if (name !== "from" && name !== "rpc" && name !== "schema") {
    return `its member ${name} is used, which a client of the context may not have`;
  }
  if (!isCalled(access)) return `its member ${name} is passed on`;
  if (kind === "admin") return undefined;
  const setsHeader = module.nodes().some((node) =>
    ts.isPropertyAccessExpression(node) && node.name.text === "setHeader" && isCalled(node)
  );
  return setsHeader
    ? "setHeader may replace the credentials of a call, which the context's client sends itself"
    : undefined;
}
