/**
 * Which functions a project has: what `supabase/config.toml` says, as the
 * Supabase CLI reads it.
 *
 * @module
 */
import { parse } from "smol-toml";
import { messageOf, StackFault } from "../fault.ts";
import type { Project } from "../project.ts";

/** One function. */
export interface FunctionConfig {
  /** Its name, the first part of its path. */
  readonly name: string;
  /** Its module, an absolute path. */
  readonly entrypoint: string;
  /** Its import map, an absolute path. `undefined`: the project's. */
  readonly importMap: string | undefined;
}

const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fault(folder: string, detail: string): StackFault {
  return new StackFault("CONFIG_INVALID", `${folder}/config.toml: ${detail}`);
}

/** A path of the config file is relative to the folder of that file. */
function resolvePath(folder: string, path: string): string {
  if (path.startsWith("/")) return path;
  const parts: string[] = [];
  for (const part of `${folder}/${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * The tables of functions in `toml`, those that are switched off among them.
 *
 * @param folder The folder that the file lies in.
 * @throws {StackFault} `CONFIG_INVALID`, with what is wrong and where.
 */
export function functionTables(toml: string, folder: string): Record<string, unknown> {
  let config: unknown;
  try {
    config = parse(toml);
  } catch (error) {
    throw fault(folder, `${messageOf(error).split("\n")[0]}: correct the file, then start again.`);
  }
  const functions = isTable(config) ? config.functions ?? {} : {};
  if (!isTable(functions)) throw fault(folder, "functions must be tables, as in [functions.hello].");
  return functions;
}

/**
 * The functions that `toml` names and does not switch off, by name.
 *
 * @param folder The folder that the file lies in.
 * @throws {StackFault} `CONFIG_INVALID`, with what is wrong and where.
 */
export function parseFunctions(toml: string, folder: string): FunctionConfig[] {
  return Object.entries(functionTables(toml, folder)).flatMap(([name, options]): FunctionConfig[] => {
    if (!NAME.test(name)) throw fault(folder, `"${name}" cannot name a function: use letters, digits, - and _.`);
    if (!isTable(options)) throw fault(folder, `functions.${name} must be a table, as in [functions.${name}].`);
    const path = (key: string, fallback: string | undefined): string | undefined => {
      const value = options[key] ?? fallback;
      if (value !== undefined && typeof value !== "string") {
        throw fault(folder, `functions.${name}.${key} must be a path in quotes.`);
      }
      return value === undefined || value === "" ? undefined : resolvePath(folder, value);
    };
    if (options.enabled === false) return [];
    const entrypoint = path("entrypoint", `./functions/${name}/index.ts`) ?? "";
    return [{ name, entrypoint, importMap: path("import_map", undefined) }];
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** The project's functions; none if it has no `supabase/config.toml`. */
export async function readFunctions(project: Project): Promise<FunctionConfig[]> {
  try {
    return parseFunctions(await Deno.readTextFile(`${project.supabase}/config.toml`), project.supabase);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
