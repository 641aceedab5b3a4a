/**
 * Rewrites a function's module to `withPooledSupabase`, where the result is certain. All else is left as it is.
 *
 * @module
 */
import ts from "typescript";
import { entriesOf, whyNotWrapped } from "./entry.ts";
import type { ModuleGraph } from "./graph.ts";
import { type Migration, nothing } from "./migration.ts";
import { Rewriter } from "./rewriter.ts";
import { SiteFinder } from "./sites.ts";
import { SourceModule } from "./source_module.ts";
import { migrateWithSupabase } from "./with_supabase.ts";

/**
 * Migrates the module of one function.
 *
 * @param graph The modules of the project.
 * @param packageName The specifier that the rewritten module imports.
 */
export function migrate(module: SourceModule, graph: ModuleGraph, packageName: string): Migration {
  const error = module.syntaxError;
  if (error) return nothing(error.line, `The file does not parse: ${error.message}`);
  const withSupabase = migrateWithSupabase(module, graph, packageName);
  if (withSupabase) return checked(module, withSupabase);
  const entries = entriesOf(module);
  const [entry] = entries;
  if (!entry) return nothing(1, "No Deno.serve, serve or default export with fetch: nothing to wrap");
  if (entries.length > 1) return nothing(module.lineOf(entry.value), "It serves more than one handler");
  const { value, handler } = entry;
  const reason = whyNotWrapped(module, entry);
  if (reason || !handler) return nothing(module.lineOf(value), reason ?? "The handler is not in this file");
  const finder = new SiteFinder(module, graph);
  const sites = finder.find(handler);
  if (sites.length === 0) return { text: undefined, rewritten: [], left: finder.left, differences: [] };
  return checked(module, new Rewriter({ module, graph, packageName, entry, handler, finder }).rewrite(sites));
}

/** Returns the names that a module uses and does not declare: globals, as far as it is right. */
function undeclared(module: SourceModule): Set<string> {
  const names = new Set<string>();
  for (const node of module.nodes()) {
    if (!ts.isIdentifier(node) || module.symbolOf(node) !== undefined) continue;
    const { parent } = node;
    const isName = (ts.isPropertyAccessExpression(parent) && parent.name === node) || ts.isQualifiedName(parent) ||
      ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) || ts.isJsxAttribute(parent) ||
      ts.isMetaProperty(parent) || (ts.isBindingElement(parent) && parent.propertyName === node);
    if (!isName) names.add(node.text);
  }
  return names;
}

/** Returns the migration if its result parses, and declares every name that it uses; else one that changes nothing. */
function checked(module: SourceModule, migration: Migration): Migration {
  const { text, rewritten: [first] } = migration;
  if (text === undefined) return migration;
  const result = new SourceModule(module.path, text);
  const error = result.syntaxError;
  const before = undeclared(module);
  const missing = [...undeclared(result)].filter((name) => name !== "Deno" && !before.has(name));
  if (!error && missing.length === 0) return migration;
  const reason = error ? `does not parse: ${error.message}` : `lacks ${missing.join(", ")}`;
  return nothing(first?.line ?? 1, `The rewritten module ${reason}. Rewrite it by hand`);
}
