/**
 * Functions that are in the project but not in `supabase/config.toml`, which is
 * easily forgotten for a new function.
 *
 * @module
 */
import type { Project } from "../project.ts";
import { functionTables, parseFunctions } from "./config.ts";

const MODULE = /^index\.[cm]?[jt]sx?$/;
/** Folders with these names are not functions, as for the Supabase CLI. */
const PRIVATE = /^[_.]/;

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch {
    // It does not exist, or cannot be read.
    return [];
  }
}

/** A folder with a function's module but without a table in `supabase/config.toml`. */
export interface UnregisteredFunction {
  /** The name of the function. */
  readonly name: string;
  /** The folder, relative to the project. */
  readonly folder: string;
}

/**
 * Returns the unregistered functions in `functions/` and `supabase/functions/`.
 *
 * @throws {StackError} `CONFIG_INVALID` if `supabase/config.toml` is invalid.
 */
export async function unregisteredFunctions(project: Project): Promise<UnregisteredFunction[]> {
  const toml = await Deno.readTextFile(`${project.supabase}/config.toml`).catch(() => "");
  const tables = functionTables(toml, project.supabase);
  const entrypoints = parseFunctions(toml, project.supabase).map(({ entrypoint }) => entrypoint);
  const found: UnregisteredFunction[] = [];
  for (const parent of ["functions", "supabase/functions"]) {
    for (const { name, isDirectory } of await entriesOf(`${project.root}/${parent}`)) {
      const path = `${project.root}/${parent}/${name}`;
      if (!isDirectory || PRIVATE.test(name) || Object.hasOwn(tables, name)) continue;
      if (entrypoints.some((entrypoint) => entrypoint.startsWith(`${path}/`))) continue;
      if (!(await entriesOf(path)).some((entry) => MODULE.test(entry.name))) continue;
      found.push({ name, folder: `${parent}/${name}` });
    }
  }
  return found.sort((a, b) => a.folder < b.folder ? -1 : 1);
}

/**
 * Returns a warning for each unregistered function.
 *
 * @throws {StackError} `CONFIG_INVALID` if `supabase/config.toml` is invalid.
 */
export async function unregisteredWarnings(project: Project): Promise<string[]> {
  return (await unregisteredFunctions(project)).map(({ name, folder }) =>
    `${folder} is not served, because it is not in supabase/config.toml: add [functions.${name}], then start again.`
  );
}
