/**
 * The rewriting of `withSupabase` of `@supabase/server`.
 *
 * @module
 */
import ts from "typescript";
import { restrictedUse } from "./clients.ts";
import { type Migration, nothing } from "./migration.ts";
import { ModuleEdits } from "./module_edits.ts";
import type { SourceModule } from "./source_module.ts";

/** Replaces `withSupabase` of `@supabase/server`; `undefined` if the module does not import it. */
export function migrateWithSupabase(module: SourceModule, packageName: string): Migration | undefined {
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
    const restricted = restrictedUse(module);
    if (restricted) {
      return nothing(
        module.lineOf(restricted.node),
        `${restricted.name} outlives a request: create a client for it`,
      );
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
    return { text: edits.apply(), rewritten: edits.notes, left: [], differences: [] };
  }
  return undefined;
}
