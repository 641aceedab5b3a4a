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

/**
 * One line for each folder in `functions/` and `supabase/functions/` that
 * holds a function's module but has no table in `supabase/config.toml`.
 *
 * @throws {StackFault} `CONFIG_INVALID` if that file is wrong.
 */
export async function unservedFolders(project: Project): Promise<string[]> {
  const toml = await Deno.readTextFile(`${project.supabase}/config.toml`).catch(() => "");
  const tables = functionTables(toml, project.supabase);
  const entrypoints = parseFunctions(toml, project.supabase).map(({ entrypoint }) => entrypoint);
  const lines: string[] = [];
  for (const parent of ["functions", "supabase/functions"]) {
    for (const { name, isDirectory } of await entriesOf(`${project.root}/${parent}`)) {
      const folder = `${project.root}/${parent}/${name}`;
      if (!isDirectory || PRIVATE.test(name) || Object.hasOwn(tables, name)) continue;
      if (entrypoints.some((entrypoint) => entrypoint.startsWith(`${folder}/`))) continue;
      if (!(await entriesOf(folder)).some((entry) => MODULE.test(entry.name))) continue;
      lines.push(
        `${parent}/${name} is not in supabase/config.toml and is not served: add [functions.${name}] there, then start again.`,
      );
    }
  }
  return lines.sort();
}
