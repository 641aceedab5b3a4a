/**
 * The changes that prepare a project: imports, tables, the health function, the migration of the fleet and .gitignore.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { parseConfig } from "../config/mod.ts";
import { packageImports } from "../functions/import_map.ts";
import { StackError } from "../stack_error.ts";
import type { Files } from "./files.ts";
import { planFleetMigration } from "./fleet_migration.ts";
import { addImport, importsOf, JsonEditError } from "./json_edit.ts";
import type { Layout, ProjectFunction } from "./layout.ts";

/** The name under which functions import the library, and what it maps to. */
export interface ImportEntry {
  readonly name: string;
  readonly target: string;
}

/** Returns the module of the health function. */
function healthModule(packageName: string): string {
  return `// The health of this function's pool and of the project behind it: GET /functions/v1/health/pool
import { healthRoute, withPooledSupabase } from "${packageName}";

const health = healthRoute();

Deno.serve(withPooledSupabase({ auth: "none" }, (request) => {
  if (new URL(request.url).pathname === "/health/pool") return health(request);
  return new Response("Not found: see /functions/v1/health/pool\\n", { status: 404 });
}));
`;
}

/** Returns the import map target as the file at `path` must write it: relative targets are relative to the file. */
function targetFor(path: string, root: string, target: string): string {
  if (!/^\.{0,2}\//.test(target)) return target;
  const absolute = target.startsWith("/") ? target : join(root, target);
  const shown = relative(dirname(path), absolute);
  return shown.startsWith(".") ? shown : `./${shown}`;
}

/** Returns the imports of a shared file as a file in another folder must write them. */
function inheritedImports(from: string, to: string, files: Files): Record<string, string> {
  const text = files.read(from) ?? "{}";
  const imports = from.endsWith("/package.json") ? packageImports(text) : importsOf(text);
  return Object.fromEntries(
    Object.entries(imports).map(([name, value]) => {
      if (!/^\.{1,2}\//.test(value)) return [name, value];
      const moved = relative(dirname(to), join(dirname(from), value)) + (value.endsWith("/") ? "/" : "");
      return [name, moved.startsWith(".") ? moved : `./${moved}`];
    }),
  );
}

function addToImportMap(
  layout: Layout,
  { name, importMap, isNew, inherited }: ProjectFunction,
  entry: ImportEntry,
  files: Files,
): string | undefined {
  const target = targetFor(importMap, layout.root, entry.target);
  const before = files.read(importMap);
  if (before === undefined && isNew) {
    const imports = { ...inherited ? inheritedImports(inherited, importMap, files) : {}, [entry.name]: target };
    files.plan(importMap, `${JSON.stringify({ imports }, undefined, 2)}\n`);
    return undefined;
  }
  const shown = relative(layout.root, importMap);
  if (before === undefined) return `${name} is left out: ${shown} is not UTF-8 text.`;
  try {
    files.plan(importMap, addImport(before, entry.name, target));
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonEditError)) throw error;
    throw new StackError(
      "CONFIG_INVALID",
      `Cannot add the import to ${shown}: ${error.message}. Fix the file, then run init again.`,
    );
  }
}

/** Returns the table of a function, with the values that the CLI uses without one. */
function tableOf(
  { root }: Layout,
  { name, entrypoint, importMap }: Pick<ProjectFunction, "name" | "entrypoint" | "importMap">,
  verifyJwt: boolean,
): string {
  const path = (file: string) => JSON.stringify(`./${relative(join(root, "supabase"), file)}`);
  return [
    `[functions.${name}]`,
    "enabled = true",
    `verify_jwt = ${verifyJwt}`,
    `import_map = ${path(importMap)}`,
    `entrypoint = ${path(entrypoint)}`,
  ].join("\n");
}

/** Appends tables to config.toml. */
function addTables(layout: Layout, tables: readonly string[], files: Files): void {
  if (tables.length === 0) return;
  const before = files.read(layout.configPath) ?? "";
  const eol = before.includes("\r\n") ? "\r\n" : "\n";
  const gap = before === "" ? "" : before.endsWith("\n") ? eol : eol + eol;
  const after = `${before}${gap}${tables.join("\n\n").replaceAll("\n", eol)}${eol}`;
  try {
    parseConfig(after, layout.configPath);
  } catch (error) {
    throw new StackError(
      "CONFIG_INVALID",
      "Cannot add tables to supabase/config.toml: its functions are written inline. Write them as [functions.<name>], then run init again.",
      { cause: error },
    );
  }
  files.plan(layout.configPath, after);
}

/** Adds `.local/` to the .gitignore of the project, if no line ignores it. */
function ignoreState(root: string, files: Files): void {
  const path = join(root, ".gitignore");
  const before = files.read(path) ?? "";
  if (before.split(/\r?\n/).some((line) => /^\/?\.local\/?(\*\*?)?$/.test(line.trim()))) return;
  const eol = before.includes("\r\n") ? "\r\n" : "\n";
  const gap = before === "" || before.endsWith("\n") ? "" : eol;
  files.plan(path, `${before}${gap}.local/${eol}`);
}

/**
 * Plans the changes in `files`.
 *
 * @returns Notes, one line each.
 * @throws {StackError} `CONFIG_INVALID` if a file cannot be edited.
 */
export function planPreparation(layout: Layout, entry: ImportEntry, files: Files): string[] {
  const notes: string[] = [];
  const tables: string[] = [];
  for (const one of layout.functions) {
    const note = addToImportMap(layout, one, entry, files);
    if (note) notes.push(note);
    if (!one.hasTable) tables.push(tableOf(layout, one, true));
  }
  const folder = join(layout.root, "supabase/functions/health");
  const existing = layout.functions.find(({ name }) => name === "health");
  if (existing) {
    if (!files.read(existing.entrypoint)?.includes(entry.name)) {
      notes.push(
        "The project has a function named health: the pool's health is at /functions/v1/<name>/health/pool of each migrated function.",
      );
    }
  } else {
    const health = { name: "health", entrypoint: join(folder, "index.ts"), importMap: join(folder, "deno.json") };
    files.plan(health.entrypoint, healthModule(entry.name));
    addToImportMap(layout, { ...health, isNew: true, inherited: undefined, hasTable: false }, entry, files);
    // Open, as monitors have no token; it shows counters only.
    tables.push(tableOf(layout, health, false));
  }
  addTables(layout, tables, files);
  notes.push(...planFleetMigration(layout, files));
  ignoreState(layout.root, files);
  if (layout.notes.length === 0 && layout.functions.every(({ name }) => name === "health")) {
    notes.push("The project has no functions of its own yet. Create one with: npx supabase functions new hello");
  }
  return notes;
}
