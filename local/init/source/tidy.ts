/**
 * The imports and constants of a rewritten module.
 *
 * @module
 */
import ts from "typescript";
import { variableOf } from "./clients.ts";
import { wholeLines } from "./edits.ts";
import type { ModuleEdits } from "./module_edits.ts";
import { isCallOf, type SourceModule, unwrap } from "./source_module.ts";

/** Removes constants that read the environment, and imports, if the edits have removed their last use. */
export function removeUnused(module: SourceModule, edits: ModuleEdits): void {
  const isUnused = (name: ts.Identifier): boolean => {
    const symbol = module.symbolOf(name);
    const uses = symbol ? module.usesOf(symbol).filter((use) => use !== name) : [];
    return uses.length > 0 && uses.every((use) => edits.removed.has(use));
  };
  for (const node of module.nodes()) {
    if (!ts.isVariableStatement(node) || node.declarationList.declarations.length !== 1) continue;
    const [declaration] = node.declarationList.declarations;
    if (!declaration?.initializer || !ts.isIdentifier(declaration.name) || edits.removed.has(declaration.name)) {
      continue;
    }
    if (!isCallOf(unwrap(declaration.initializer), "Deno.env.get") || !isUnused(declaration.name)) continue;
    if (variableOf(module, declaration.initializer) !== undefined) edits.remove(node);
  }
  for (const statement of module.file.statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    const { importClause } = statement;
    const bindings = importClause?.namedBindings;
    const whole = bindings && ts.isNamespaceImport(bindings) ? bindings.name : importClause?.name;
    if (whole && isUnused(whole) && (!importClause?.name || !bindings)) edits.remove(statement);
    if (!importClause || importClause.name || !bindings || !ts.isNamedImports(bindings)) continue;
    const unused = bindings.elements.filter(({ name }) => isUnused(name));
    if (unused.length === 0) continue;
    if (unused.length === bindings.elements.length) edits.remove(statement);
    else {
      const kept = bindings.elements.filter((element) => !unused.includes(element));
      edits.replace(bindings, `{ ${kept.map((element) => element.getText(module.file)).join(", ")} }`);
    }
  }
}

/** Returns a text in quotation marks, of the kind that the last import has. */
export function quote(module: SourceModule, text: string): string {
  const last = module.file.statements.filter(ts.isImportDeclaration).at(-1);
  const mark = last?.moduleSpecifier.getText(module.file).charAt(0) ?? '"';
  return `${mark}${text}${mark}`;
}

/** Adds the import of the package, in the style of the imports there. */
export function addPackageImport(
  module: SourceModule,
  edits: ModuleEdits,
  packageName: string,
  hasType: boolean,
): void {
  const imports = module.file.statements.filter(ts.isImportDeclaration);
  const last = imports.at(-1);
  const semicolon = !last || last.getText(module.file).endsWith(";") ? ";" : "";
  const names = hasType ? "type PooledContext, withPooledSupabase" : "withPooledSupabase";
  const line = `import { ${names} } from ${quote(module, packageName)}${semicolon}`;
  // Before the first import: its line may be one that is removed.
  const [first] = imports;
  if (first) edits.insert(wholeLines(module.text, first.getStart(module.file), first.end).start, `${line}\n`);
  else edits.insert(module.file.statements[0]?.getStart(module.file) ?? 0, `${line}\n\n`);
}
