/**
 * The lines of a function that the pool changes, and what to do about each.
 *
 * @module
 */
import ts from "typescript";
import { creationsOf, restrictedUse } from "./source/clients.ts";
import { entriesOf } from "./source/entry.ts";
import { factoryCallsOf } from "./source/factories.ts";
import type { ModuleGraph } from "./source/graph.ts";
import { isCallOf, pathOf, type SourceModule } from "./source/source_module.ts";

/** The kinds of findings. */
export type FindingKind =
  | "client"
  | "module-client"
  | "service-client"
  | "factory"
  | "with-supabase"
  | "get-user"
  | "wait-until"
  | "preflight"
  | "std-serve"
  | "stream"
  | "restricted"
  | "other-handler";

/** A line, and what to do. */
export interface Finding {
  readonly kind: FindingKind;
  /** Absolute. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

const CLIENT = {
  user: "a client with the caller's token is created per request: use ctx.supabase",
  anonymous: "a client without a caller is created per request: use ctx.supabase",
  admin: "a client with the service role key is created per request: use ctx.supabaseAdmin",
} as const;

/** Lists the findings of a module. */
export function findingsOf(module: SourceModule, graph: ModuleGraph): Finding[] {
  const findings: Finding[] = [];
  const add = (kind: FindingKind, node: ts.Node, message: string) =>
    findings.push({ kind, path: module.path, line: module.lineOf(node), message });
  const entries = entriesOf(module);
  const parameter = entries[0]?.handler?.parameters[0]?.name;
  for (const { call, kind } of creationsOf(module, parameter && module.symbolOf(parameter))) {
    if (module.functionAround(call) === undefined) {
      const member = kind === "admin" ? "ctx.supabaseAdmin" : "ctx.supabase";
      add("module-client", call, `all requests share this client, and what one of them sets on it: use ${member}`);
    } else add(kind === "admin" ? "service-client" : "client", call, CLIENT[kind]);
  }
  for (const { call, name, creation } of factoryCallsOf(module, graph)) {
    const member = creation.kind === "admin" ? "ctx.supabaseAdmin" : "ctx.supabase";
    add("factory", call, `${name}() creates a client per request: use ${member}`);
  }
  for (const { form, call, value } of entries) {
    if (form === "std serve" && call) add("std-serve", call, "serve of std: Deno.serve replaces it");
    if (/\.fetch$/.test(value.getText(module.file))) {
      add("other-handler", value, "the handler is an app: with Hono, use pooledSupabase of the package's /hono");
    }
  }
  for (const node of module.nodes()) {
    if (isCallOf(node, "EdgeRuntime.waitUntil")) {
      add("wait-until", node, "stays as it is: ctx serves this work until it has settled");
    } else if (
      ts.isCallExpression(node) && node.arguments.length > 0 &&
      pathOf(node.expression)?.slice(-2).join(".") === "auth.getUser"
    ) {
      add(
        "get-user",
        node,
        "asks Auth for the user of a token: ctx.userClaims has the verified claims, without a request",
      );
    } else if (
      ts.isNewExpression(node) && /^(ReadableStream|TransformStream)$/.test(node.expression.getText(module.file))
    ) {
      add("stream", node, "a stream: ctx works until it has ended, and its calls until deadlineMs");
    } else if (ts.isStringLiteralLike(node) && node.text === "OPTIONS" && ts.isBinaryExpression(node.parent)) {
      add("preflight", node, "a branch for preflights: the option cors replaces it");
    } else if (ts.isIdentifier(node) && node.text === "withSupabase" && ts.isCallExpression(node.parent)) {
      add("with-supabase", node, "withSupabase: withPooledSupabase takes the same options");
    }
  }
  const restricted = restrictedUse(module);
  if (restricted) {
    add("restricted", restricted.node, `${restricted.name} outlives a request: it needs a client of its own`);
  }
  return findings.sort((a, b) => a.line - b.line);
}
