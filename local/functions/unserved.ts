/**
 * Functions that lie in the project but are not named in its config, which a
 * new one easily is.
 *
 * @module
 */
import type { Project } from "../project.ts";
import { functionTables, parseFunctions } from "./config.ts";

const MODULE = /^index\.[cm]?[jt]sx?$/;
/** Folders of these names are, as for the Supabase CLI, no functions. */
const PRIVATE = /^[_.]/;

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch {
    // None of it, or none of our business.
    return [];
  }
}

/** A folder that holds a function's module but has no table in `supabase/config.toml`. */
export interface UnlistedFolder {
  /** The function's name. */
  readonly name: string;
  /** The folder, from the project's. */
  readonly folder: string;
}

/**
 * Those in `functions/` and `supabase/functions/`.
 *
 * @throws {StackFault} `CONFIG_INVALID` if that file is wrong.
 */
export async function unlistedFolders(project: Project): Promise<UnlistedFolder[]> {
  const toml = await Deno.readTextFile(`${project.supabase}/config.toml`).catch(() => "");
  const tables = functionTables(toml, project.supabase);
  const entrypoints = parseFunctions(toml, project.supabase).map(({ entrypoint }) => entrypoint);
  const unlisted: UnlistedFolder[] = [];
  for (const parent of ["functions", "supabase/functions"]) {
    for (const { name, isDirectory } of await entriesOf(`${project.root}/${parent}`)) {
      const path = `${project.root}/${parent}/${name}`;
      if (!isDirectory || PRIVATE.test(name) || Object.hasOwn(tables, name)) continue;
      if (entrypoints.some((entrypoint) => entrypoint.startsWith(`${path}/`))) continue;
      if (!(await entriesOf(path)).some((entry) => MODULE.test(entry.name))) continue;
      unlisted.push({ name, folder: `${parent}/${name}` });
    }
  }
  return unlisted.sort((a, b) => a.folder < b.folder ? -1 : 1);
}

/**
 * One line for each folder in `functions/` and `supabase/functions/` that
 * holds a function's module but has no table in `supabase/config.toml`.
 *
 * @throws {StackFault} `CONFIG_INVALID` if that file is wrong.
 */
export async function unservedFolders(project: Project): Promise<string[]> {
  return (await unlistedFolders(project)).map(({ name, folder }) =>
    `${folder} is not in supabase/config.toml and is not served: add [functions.${name}] there, then start again.`
  );
}
