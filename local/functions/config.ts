/**
 * The functions of a project, found and configured as the Supabase CLI does it.
 *
 * @module
 */
import { isTable, type ProjectConfig, readConfig, type TomlTable } from "../config/mod.ts";
import type { Project } from "../project.ts";
import { StackError } from "../stack_error.ts";
import { findImportMap, type ImportMapSource } from "./import_map.ts";

/** The configuration of a function. */
export interface FunctionConfig {
  /** The name, the first segment of its path. */
  readonly name: string;
  /** The path of its module, absolute. */
  readonly entrypoint: string;
  /** The path of the file with its import map: an import map or a `deno.json`, absolute. `undefined`: it has none. */
  readonly importMap: string | undefined;
  /** The rule that `importMap` was found by. */
  readonly importMapSource: ImportMapSource;
  /** Requires a valid JWT of each request. Default: `true`. */
  readonly verifyJwt: boolean;
  /** Patterns of files that it reads at run time, absolute. */
  readonly staticFiles: readonly string[];
  /** Variables of this function only. */
  readonly env: Readonly<Record<string, string>>;
  /** `true` if `supabase/config.toml` has a table for it. Without one, it has the defaults of the CLI. */
  readonly registered: boolean;
}

/** The functions of a project. */
export interface ProjectFunctions {
  /** The enabled functions, sorted by name. */
  readonly functions: readonly FunctionConfig[];
  /** The names of functions whose table says `enabled = false`. */
  readonly disabled: readonly string[];
  /** Folders that look like functions but are not served, and functions that the CLI treats otherwise: one line each. */
  readonly warnings: readonly string[];
}

/** Matches the names of functions, by the rule of the CLI. Other folders, such as `_shared`, are not functions. */
export const FUNCTION_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;
const NAME_RULE = "begin it with a letter, and use letters, digits, - and _ only";
const MODULES = ["index.ts", "index.tsx", "index.js", "index.jsx", "index.mjs"];

/** Resolves a path of the config file, which is relative to the folder of that file. */
function resolvePath(folder: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

/** Returns the path of the module in `folder`; that of `index.ts` if it has none. */
async function moduleIn(folder: string): Promise<string> {
  for (const name of MODULES) if (await isFile(`${folder}/${name}`)) return `${folder}/${name}`;
  return `${folder}/index.ts`;
}

/** The folders that hold the module of a function, by name. */
interface FunctionFolders {
  readonly valid: readonly string[];
  /** Folders with a name that no function can have, except those that begin with `_` or `.`, which are not meant as functions. */
  readonly invalid: readonly string[];
}

/** Finds the folders in `parent` that hold the module of a function. */
async function functionFolders(parent: string): Promise<FunctionFolders> {
  const valid: string[] = [];
  const invalid: string[] = [];
  // A folder that does not exist or cannot be read has none.
  const entries = await Array.fromAsync(Deno.readDir(parent)).catch(() => []);
  for (const { name } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (/^[_.]/.test(name) || !await isFile(await moduleIn(`${parent}/${name}`))) continue;
    (FUNCTION_NAME.test(name) ? valid : invalid).push(name);
  }
  return { valid, invalid };
}

function invalid(path: string, detail: string): StackError {
  return new StackError("CONFIG_INVALID", `${path}: ${detail}`);
}

function checkTable(path: string, name: string, table: unknown): TomlTable {
  if (!FUNCTION_NAME.test(name)) {
    throw invalid(path, `"${name}" is not a valid function name: ${NAME_RULE}.`);
  }
  if (!isTable(table)) throw invalid(path, `functions.${name} must be a table, for example [functions.${name}].`);
  return table;
}

/**
 * Returns the functions of a project: those of `supabase/config.toml`, and the folders of `supabase/functions` without a
 * table there.
 *
 * @param config The configuration of the project. Default: it is read.
 * @throws {StackError} `CONFIG_INVALID`.
 */
export async function readFunctions(project: Project, config?: ProjectConfig): Promise<ProjectFunctions> {
  const { path, settings, functions: tables } = config ?? await readConfig(project);
  const { supabase, root } = project;
  const parent = `${supabase}/functions`;
  const found = await functionFolders(parent);
  const functions: FunctionConfig[] = [];
  const disabled: string[] = [];
  const warnings: string[] = [];
  for (const name of [...new Set([...Object.keys(tables), ...found.valid])].sort()) {
    const registered = Object.hasOwn(tables, name);
    const table = registered ? checkTable(path, name, tables[name]) : {};
    const at = (key: string) => `functions.${name}.${key}`;
    if (!settings.boolean(at("enabled"))) {
      disabled.push(name);
      continue;
    }
    const text = (key: string) => table[key] === undefined ? undefined : settings.string(at(key)) || undefined;
    const named = text("entrypoint");
    const entrypoint = named === undefined ? await moduleIn(`${parent}/${name}`) : resolvePath(supabase, named);
    if (named === undefined && !entrypoint.endsWith("/index.ts")) {
      warnings.push(
        `${entrypoint.slice(root.length + 1)} is served, but the Supabase CLI looks for index.ts: add entrypoint = ` +
          `"./functions/${name}/${entrypoint.slice(entrypoint.lastIndexOf("/") + 1)}" to [functions.${name}].`,
      );
    }
    const mapped = text("import_map");
    functions.push({
      name,
      entrypoint,
      ...await findImportMap(mapped === undefined ? undefined : resolvePath(supabase, mapped), {
        entrypointFolder: entrypoint.slice(0, entrypoint.lastIndexOf("/")),
        functionFolder: `${parent}/${name}`,
        functionsFolder: parent,
      }),
      verifyJwt: settings.boolean(at("verify_jwt")),
      staticFiles: (settings.strings(at("static_files")) ?? []).map((pattern) => resolvePath(supabase, pattern)),
      env: Object.fromEntries(
        Object.entries(settings.table(at("env"))).map(([key, value]) => [key, String(value)])
          // A reference to a variable that is not set.
          .filter(([, value]) => !/^env\(.*\)$/.test(value ?? "")),
      ),
      registered,
    });
  }
  for (const name of found.invalid) {
    warnings.push(
      `supabase/functions/${name} is neither served nor deployed, because "${name}" is not a valid function name: ` +
        `${NAME_RULE}.`,
    );
  }
  warnings.push(...await unservedFolders(project, functions, disabled));
  return { functions, disabled, warnings };
}

/** Returns a line for each file that configures functions locally, but is not uploaded with them. */
export function functionWarnings({ root }: Project, functions: readonly FunctionConfig[]): string[] {
  const users = new Map<string, string[]>();
  for (const { name, importMap, importMapSource } of functions) {
    if (importMap === undefined || (importMapSource !== "workspace" && importMapSource !== "package.json")) continue;
    users.set(importMap, [...users.get(importMap) ?? [], name]);
  }
  return [...users].map(([path, names]) =>
    `${path.slice(root.length + 1)} configures ${
      names.join(", ")
    } here, but is not uploaded by deploy: move its imports ` +
    "to a deno.json in the folder of each function."
  );
}

/** Returns a line for each folder of `functions/` in the project's folder that no table names. */
async function unservedFolders(
  { root }: Project,
  functions: readonly FunctionConfig[],
  disabled: readonly string[],
): Promise<string[]> {
  const { valid } = await functionFolders(`${root}/functions`);
  return valid.filter((name) =>
    !disabled.includes(name) && !functions.some(({ entrypoint }) => entrypoint.startsWith(`${root}/functions/${name}/`))
  ).map((name) =>
    `functions/${name} is not a function of the project: the Supabase CLI looks in supabase/functions. Move it there, ` +
    `or add [functions.${name}] with entrypoint = "../functions/${name}/index.ts" to supabase/config.toml.`
  );
}
