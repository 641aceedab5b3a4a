/**
 * The files of a Supabase project that `init` reads and changes.
 *
 * @module
 */
import { dirname, join, relative, resolve } from "node:path";
import { parseConfig } from "../config/mod.ts";
import { type FunctionConfig, readFunctions } from "../functions/config.ts";
import { projectAt } from "../project.ts";
import { StackError } from "../stack_error.ts";
import type { Files } from "./files.ts";

/** A function of a project. */
export interface ProjectFunction {
  readonly name: string;
  /** The path of its module, absolute. */
  readonly entrypoint: string;
  /** The file whose imports it uses, absolute; it does not exist yet where `isNew`. */
  readonly importMap: string;
  /** True if it has no import map: a deno.json is created for it. */
  readonly isNew: boolean;
  /** The imports that a new import map takes over, since it hides the file that had them. */
  readonly inherited: string | undefined;
  /** True if `supabase/config.toml` has a table for it. */
  readonly hasTable: boolean;
}

/** A project. */
export interface Layout {
  /** The folder that contains `supabase/`, absolute. */
  readonly root: string;
  readonly configPath: string;
  readonly functions: readonly ProjectFunction[];
  /** Functions that are left out, with the reason: one line each. */
  readonly notes: readonly string[];
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function entriesOf(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1);
  } catch {
    return [];
  }
}

/** Returns the folders below `root`, at most two levels deep, that contain a project. */
function projectsBelow(root: string, files: Files): string[] {
  const found: string[] = [];
  const visit = (folder: string, depth: number): void => {
    for (const { name, isDirectory } of entriesOf(folder)) {
      if (!isDirectory || name === "node_modules" || name.startsWith(".")) continue;
      const path = join(folder, name);
      if (files.exists(join(path, "supabase/config.toml"))) found.push(path);
      else if (depth > 1) visit(path, depth - 1);
    }
  };
  visit(root, 2);
  return found;
}

function notAProject(root: string, files: Files): StackError {
  const [below, ...more] = projectsBelow(root, files);
  if (files.exists(join(root, "config.toml")) && isFolder(join(root, "functions"))) {
    return new StackError("CONFIG_INVALID", `${root} is the supabase folder itself: pass the folder that contains it.`);
  }
  const hint = below === undefined
    ? "pass the folder that contains supabase/, or create a project there with: npx supabase init"
    : `pass ${[below, ...more.slice(0, 2)].map((path) => relative(Deno.cwd(), path) || ".").join(" or ")}`;
  return new StackError("CONFIG_INVALID", `Not a Supabase project: ${root}/supabase/config.toml not found; ${hint}.`);
}

/** Returns the file whose imports a function uses, or the one to create for it. */
function importMapOf(
  supabase: string,
  { name, entrypoint, importMap, importMapSource }: FunctionConfig,
  files: Files,
): Pick<ProjectFunction, "importMap" | "isNew" | "inherited"> {
  if (importMap !== undefined && importMapSource !== "workspace" && importMapSource !== "package.json") {
    return files.exists(importMap)
      ? { importMap: files.importMapBehind(importMap), isNew: false, inherited: undefined }
      : { importMap, isNew: true, inherited: undefined };
  }
  const own = `${supabase}/functions/${name}`;
  return { importMap: `${isFolder(own) ? own : dirname(entrypoint)}/deno.json`, isNew: true, inherited: importMap };
}

/**
 * Finds the functions of the project at `folder`, with and without tables.
 *
 * @throws {StackError} `CONFIG_INVALID` if it is not a project, or its config cannot be read.
 */
export async function readLayout(folder: string, files: Files): Promise<Layout> {
  const given = resolve(folder);
  if (!isFolder(given)) {
    throw new StackError("CONFIG_INVALID", `Folder not found: ${given}. Pass the folder of a project.`);
  }
  const project = projectAt(given);
  const { root, supabase } = project;
  const configPath = join(supabase, "config.toml");
  const toml = files.read(configPath);
  if (toml === undefined) throw notAProject(root, files);
  const found = await readFunctions(project, parseConfig(toml, configPath));
  const notes = found.disabled.map((name) => `${name} is left out: it is disabled in supabase/config.toml.`);
  notes.push(...found.warnings);
  const functions = found.functions.flatMap((config): ProjectFunction[] => {
    const { name, entrypoint, registered } = config;
    const shown = (path: string) => relative(root, path);
    if (!files.exists(entrypoint)) {
      notes.push(`${name} is left out: its entrypoint ${shown(entrypoint)} does not exist.`);
      return [];
    }
    const map = importMapOf(supabase, config, files);
    const outside = [entrypoint, map.importMap].find((path) => !files.isInside(root, path));
    if (outside !== undefined) {
      notes.push(`${name} is left out: ${shown(outside)} is outside the project, or a link to a file there.`);
      return [];
    }
    return [{ name, entrypoint, hasTable: registered, ...map }];
  });
  return { root, configPath, functions, notes };
}
