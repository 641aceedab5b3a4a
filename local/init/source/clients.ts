/**
 * The clients that a module creates: on whose behalf each acts.
 *
 * @module
 */
import ts from "typescript";
import { isAuthorization } from "./authorization.ts";
import { isCallOf, pathOf, type SourceModule, unwrap } from "./source_module.ts";
import { sourcesOf } from "./values.ts";

/** The party that a client acts for: the caller by its token, no one, or the project itself. */
export type ClientKind = "user" | "anonymous" | "admin";

/** A call of `createClient`. */
export interface Creation {
  readonly call: ts.CallExpression;
  readonly kind: ClientKind;
  /** The reason why it cannot be replaced by a client of the context; `undefined` if it can. */
  readonly reason: string | undefined;
  /** The type arguments, as written. */
  readonly types: string;
}

const SECRET = /^(SUPABASE_SERVICE_ROLE_KEY|SUPABASE_SECRET_KEYS?|SERVICE_ROLE_KEY|SUPABASE_SERVICE_KEY)$/;
const PUBLIC = /^(SUPABASE_ANON_KEY|SUPABASE_PUBLISHABLE_KEYS?)$/;
/** The variables that the hosted runtime sets; the context uses these and no others. */
const OWN_SECRET = new Set(["SUPABASE_SERVICE_ROLE_KEY"]);
const OWN_PUBLIC = new Set(["SUPABASE_ANON_KEY"]);

/** Returns whether a variable is the project's address or one of its keys. */
export function isKeyVariable(name: string): boolean {
  return name === "SUPABASE_URL" || SECRET.test(name) || PUBLIC.test(name);
}

/** Returns whether a specifier names supabase-js, from whichever host. */
export function isSupabaseJs(specifier: string): boolean {
  return /(^|[/:])@supabase\/supabase-js(@|\/|$)/.test(specifier) || specifier === "supabase";
}

/** Returns whether an expression is an import named `name` of supabase-js. */
export function isCreateClient(module: SourceModule, callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) {
    const origin = module.originOf(callee);
    return origin?.name === "createClient" && isSupabaseJs(origin.from);
  }
  if (!ts.isPropertyAccessExpression(callee) || callee.name.text !== "createClient") return false;
  if (!ts.isIdentifier(callee.expression)) return false;
  const origin = module.originOf(callee.expression);
  return origin !== undefined && isSupabaseJs(origin.from) && origin.name !== "createClient";
}

/** Returns the environment variable that an expression reads, if it reads exactly one. */
export function variableOf(module: SourceModule, node: ts.Expression): string | undefined {
  const names = new Set<string | undefined>();
  for (const value of sourcesOf(module, node)) {
    const argument = value && isCallOf(value, "Deno.env.get") ? value.arguments[0] : undefined;
    names.add(argument && ts.isStringLiteralLike(argument) ? argument.text : undefined);
  }
  const [name] = names;
  return names.size === 1 ? name : undefined;
}

function nameOf(property: ts.ObjectLiteralElementLike): string | undefined {
  const { name } = property;
  return name && (ts.isIdentifier(name) || ts.isStringLiteralLike(name)) ? name.text : undefined;
}

const SESSION_OPTIONS = new Set(["autoRefreshToken", "persistSession", "detectSessionInUrl"]);

/** The options of a client: the value of its Authorization header, and the first option that the context cannot have. */
interface Options {
  readonly authorization: ts.Expression | undefined;
  readonly unsupported: string | undefined;
}

/** Returns whether the object that a constant holds is only read, and only by what creates clients or other objects. */
function isOnlyRead(module: SourceModule, node: ts.Expression): boolean {
  const value = unwrap(node);
  if (!ts.isIdentifier(value)) return true;
  const symbol = module.symbolOf(value);
  const constant = module.constantOf(value);
  if (!symbol || !constant) return false;
  const isRead = (use: ts.Identifier): boolean => {
    const { parent } = use;
    if (ts.isPropertyAssignment(parent)) return parent.initializer === use;
    if (ts.isCallExpression(parent)) return isCreateClient(module, parent.expression);
    return ts.isShorthandPropertyAssignment(parent) || ts.isSpreadAssignment(parent) || ts.isTypeQueryNode(parent);
  };
  return module.usesOf(symbol).every(isRead) && isOnlyRead(module, constant.initializer);
}

function* entriesOf(module: SourceModule, node: ts.Expression): Generator<[string, ts.Expression]> {
  const [value, ...others] = [...sourcesOf(module, node)];
  if (!value || others.length > 0 || !ts.isObjectLiteralExpression(value)) return yield ["?", node];
  if (!isOnlyRead(module, node)) return yield ["?", node];
  for (const property of value.properties) {
    const name = nameOf(property);
    if (name !== undefined && ts.isPropertyAssignment(property)) yield [name, property.initializer];
    else if (name !== undefined && ts.isShorthandPropertyAssignment(property)) yield [name, property.name];
    else yield ["?", node];
  }
}

function optionsOf(module: SourceModule, node: ts.Expression | undefined): Options {
  let authorization: ts.Expression | undefined;
  let unsupported: string | undefined;
  for (const [group, value] of node ? entriesOf(module, node) : []) {
    if (group !== "auth" && group !== "global") {
      unsupported ??= group;
      continue;
    }
    for (const [name, option] of entriesOf(module, value)) {
      if (group === "auth") {
        if (!SESSION_OPTIONS.has(name)) unsupported ??= `auth.${name}`;
      } else if (name !== "headers") unsupported ??= `global.${name}`;
      else {
        for (const [header, text] of entriesOf(module, option)) {
          if (header.toLowerCase() === "authorization") authorization = text;
          // A label for logs.
          else if (header.toLowerCase() === "x-client-info") continue;
          else unsupported ??= `global.headers.${header}`;
        }
      }
    }
  }
  return { authorization, unsupported: unsupported === "?" ? "that are not written out" : unsupported };
}

/**
 * Describes a call of `createClient`.
 *
 * @param request The parameter of the handler that is the request.
 */
function describe(module: SourceModule, call: ts.CallExpression, request: ts.Symbol | undefined): Creation {
  const [address, key, rest] = call.arguments;
  const { authorization, unsupported } = optionsOf(module, rest);
  const variable = key && variableOf(module, key);
  const types = call.typeArguments?.map((type) => type.getText(module.file)).join(", ") ?? "";
  const kind: ClientKind = variable !== undefined && SECRET.test(variable)
    ? "admin"
    : authorization
    ? "user"
    : "anonymous";
  const reasonOf = (): string | undefined => {
    if (!address || variableOf(module, address) !== "SUPABASE_URL") return "its address is not SUPABASE_URL alone";
    if (variable === undefined) return "its key is not one variable of the environment";
    if (!SECRET.test(variable) && !PUBLIC.test(variable)) return `its key is ${variable}, not a key of this project`;
    if (!OWN_SECRET.has(variable) && !OWN_PUBLIC.has(variable)) {
      return `its key is ${variable}, which may differ from the key that the pool uses`;
    }
    if (unsupported !== undefined) return `it has options the context's client lacks: ${unsupported}`;
    if (authorization === undefined) return undefined;
    if (kind === "admin") return "it sends a caller's token with the service role key";
    if (!request || !isAuthorization(module, authorization, request)) {
      return "its Authorization is not evidently the caller's own";
    }
    return undefined;
  };
  return { call, kind, reason: reasonOf(), types };
}

/** Returns the calls of `createClient` in a module. */
export function creationsOf(module: SourceModule, request?: ts.Symbol): Creation[] {
  const creations: Creation[] = [];
  for (const node of module.nodes()) {
    if (ts.isCallExpression(node) && isCreateClient(module, node.expression)) {
      creations.push(describe(module, node, request));
    }
  }
  return creations;
}

/** Returns the uses of supabase-js whose clients are not found: `createClient` passed on, or imported at run time. */
export function straysOf(module: SourceModule): { readonly node: ts.Node; readonly text: string }[] {
  const strays: { readonly node: ts.Node; readonly text: string }[] = [];
  for (const node of module.nodes()) {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier && ts.isStringLiteralLike(specifier) && isSupabaseJs(module.mapped(specifier.text))) {
        strays.push({ node, text: "supabase-js is imported when it runs: import it at the top of the file" });
      }
    }
    if (!ts.isIdentifier(node) || node.text === "default" || ts.findAncestor(node, ts.isImportDeclaration)) continue;
    if (!isCreateClient(module, node) || ts.isExportSpecifier(node.parent)) continue;
    const isCall = ts.isCallExpression(node.parent) && node.parent.expression === node;
    const isType = ts.isTypeQueryNode(node.parent) || ts.isTypeOfExpression(node.parent);
    if (!isCall && !isType) strays.push({ node, text: "createClient is passed on: its clients are created elsewhere" });
  }
  return strays;
}

/** Members of a client that outlive a request, which a client of the context rejects. */
const RESTRICTED = /^(channel|removeChannel|removeAllChannels|getChannels|realtime)$/;
/** The members of `auth` that a client of the context has. */
const AUTH = new Set(["getUser", "getClaims", "admin"]);

/**
 * Returns the first use of a client that a client of the context rejects, anywhere in a module: receivers are not
 * resolved, since clients are passed on.
 */
export function restrictedUse(module: SourceModule): { readonly node: ts.Node; readonly name: string } | undefined {
  for (const node of module.nodes()) {
    if (!ts.isPropertyAccessExpression(node)) continue;
    const name = node.name.text;
    const path = pathOf(node);
    if (ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === "auth" && !AUTH.has(name)) {
      if (ts.isCallExpression(node.parent) && node.parent.expression === node) return { node, name: `auth.${name}` };
    }
    const isCall = ts.isCallExpression(node.parent) && node.parent.expression === node;
    if (RESTRICTED.test(name) && isCall && path?.[0] !== "Deno") return { node, name };
    if (name === "setAuth" && isCall) return { node, name };
  }
  return undefined;
}
