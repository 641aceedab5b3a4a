/**
 * The rewriting of `withSupabase` of `@supabase/server`.
 *
 * @module
 */
import { basename } from "node:path";
import ts from "typescript";
import { restrictedUse } from "./clients.ts";
import type { ModuleGraph } from "./graph.ts";
import { type Migration, nothing } from "./migration.ts";
import { ModuleEdits } from "./module_edits.ts";
import type { SourceModule } from "./source_module.ts";

/** The auth modes whose keys are users' tokens, or none: legacy keys do not count for these. */
const WITHOUT_KEYS = /^["'`](user|none|public|always)["'`]$/;

/**
 * Returns what to insert into the options of `withSupabase`, so that `withPooledSupabase` accepts no more credentials:
 * it also accepts the legacy keys where keys are accepted. Returns a reason if the options do not show it.
 */
function legacyKeysOf(
  module: SourceModule,
  options: ts.Expression | undefined,
): { readonly at?: number; readonly text?: string; readonly reason?: string } {
  if (!options || !ts.isObjectLiteralExpression(options)) {
    return { reason: "the options of withSupabase are not written out, so that the keys it accepts are not certain" };
  }
  let isKeyed = false;
  for (const property of options.properties) {
    const name = property.name && (ts.isIdentifier(property.name) || ts.isStringLiteralLike(property.name))
      ? property.name.text
      : undefined;
    if (name === undefined) {
      return { reason: "the options of withSupabase are not written out, so that the keys it accepts are not certain" };
    }
    if (name === "legacyKeys") return {};
    if (name !== "auth" && name !== "allow") continue;
    const value = ts.isPropertyAssignment(property) ? property.initializer : undefined;
    const modes = value && ts.isArrayLiteralExpression(value) ? [...value.elements] : [value];
    isKeyed = !modes.every((mode) => mode && WITHOUT_KEYS.test(mode.getText(module.file)));
  }
  if (!isKeyed) return {};
  const last = options.properties.at(-1);
  return last ? { at: last.end, text: ", legacyKeys: false" } : {};
}

/** Replaces `withSupabase` of `@supabase/server`; `undefined` if the module does not import it. */
export function migrateWithSupabase(
  module: SourceModule,
  graph: ModuleGraph,
  packageName: string,
): Migration | undefined {
  const edits = new ModuleEdits(module);
  for (const statement of module.file.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    if (!/(^|[/:])@supabase\/server(@[^/]*)?$/.test(statement.moduleSpecifier.text)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (!bindings || !ts.isNamedImports(bindings)) continue;
    const specifier = bindings.elements.find((one) => (one.propertyName ?? one.name).text === "withSupabase");
    if (!specifier) continue;
    const symbol = module.symbolOf(specifier.name);
    const uses = (symbol ? module.usesOf(symbol) : []).filter((use) => use !== specifier.name);
    for (const use of uses) {
      if (!ts.isCallExpression(use.parent) || use.parent.expression !== use || use.parent.arguments.length !== 2) {
        return nothing(
          module.lineOf(use),
          "withSupabase is used without a handler, which withPooledSupabase needs",
        );
      }
    }
    for (const one of graph.reachable(module)) {
      const restricted = restrictedUse(one);
      if (!restricted) continue;
      const line = one === module ? module.lineOf(restricted.node) : module.lineOf(statement);
      const where = one === module ? "" : ` (${basename(one.path)}:${one.lineOf(restricted.node)})`;
      return nothing(line, `${restricted.name} outlives a request: create a client for it${where}`);
    }
    const differences = new Set<string>();
    for (const { parent } of uses) {
      const { reason, at, text } = legacyKeysOf(module, ts.isCallExpression(parent) ? parent.arguments[0] : undefined);
      if (reason !== undefined) return nothing(module.lineOf(parent), reason);
      if (at === undefined || text === undefined) continue;
      edits.insert(at, text);
      differences.add("legacyKeys: false keeps the function from accepting the legacy keys, as before.");
    }
    const quote = statement.moduleSpecifier.getText(module.file).charAt(0);
    const others = bindings.elements.filter((one) => one !== specifier);
    const line = `import { withPooledSupabase } from ${quote}${packageName}${quote}`;
    if (others.length === 0) {
      edits.replace(bindings, "{ withPooledSupabase }");
      edits.replace(statement.moduleSpecifier, `${quote}${packageName}${quote}`);
    } else {
      edits.replace(bindings, `{ ${others.map((one) => one.getText(module.file)).join(", ")} }`);
      const semicolon = statement.getText(module.file).endsWith(";") ? ";" : "";
      const eol = module.text.includes("\r\n") ? "\r\n" : "\n";
      edits.insert(statement.getStart(module.file), `${line}${semicolon}${eol}`);
    }
    for (const use of uses) {
      edits.replace(use, "withPooledSupabase");
      edits.note(use, "withSupabase -> withPooledSupabase");
    }
    return { text: edits.apply(), rewritten: edits.notes, left: [], differences: [...differences] };
  }
  return undefined;
}
