/**
 * The functions of a project, read from `supabase/config.toml` as the Supabase
 * CLI reads it.
 *
 * @module
 */
import { parse } from "smol-toml";
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
import type { Project } from "../project.ts";

/** The configuration of a function. */
export interface FunctionConfig {
  /** The name, the first segment of its path. */
  readonly name: string;
  /** The path of its module, absolute. */
  readonly entrypoint: string;
  /** The path of its import map, absolute. `undefined`: the project's. */
  readonly importMap: string | undefined;
}

const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function configError(folder: string, detail: string): StackError {
  return new StackError("CONFIG_INVALID", `${folder}/config.toml: ${detail}`);
}

/** Resolves a path of the config file, which is relative to the folder of that file. */
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
 * Returns the tables of functions in `toml`, including disabled ones.
 *
 * @param folder The folder of the file.
 * @throws {StackError} `CONFIG_INVALID`.
 */
export function functionTables(toml: string, folder: string): Record<string, unknown> {
  let config: unknown;
  try {
    config = parse(toml);
  } catch (error) {
    throw configError(folder, `${messageOf(error).split("\n")[0]}: fix the file, then start again.`);
  }
  const functions = isTable(config) ? config.functions ?? {} : {};
  if (!isTable(functions)) throw configError(folder, "functions must be tables, for example [functions.hello].");
  return functions;
}

/**
 * Returns the enabled functions of `toml`, sorted by name.
 *
 * @param folder The folder of the file.
 * @throws {StackError} `CONFIG_INVALID`.
 */
export function parseFunctions(toml: string, folder: string): FunctionConfig[] {
  return Object.entries(functionTables(toml, folder)).flatMap(([name, options]): FunctionConfig[] => {
    if (!NAME.test(name)) {
      throw configError(folder, `"${name}" is not a valid function name: use letters, digits, - and _.`);
    }
    if (!isTable(options)) {
      throw configError(folder, `functions.${name} must be a table, for example [functions.${name}].`);
    }
    const path = (key: string, fallback: string | undefined): string | undefined => {
      const value = options[key] ?? fallback;
      if (value !== undefined && typeof value !== "string") {
        throw configError(folder, `functions.${name}.${key} must be a path in quotes.`);
      }
      return value === undefined || value === "" ? undefined : resolvePath(folder, value);
    };
    if (options.enabled === false) return [];
    const entrypoint = path("entrypoint", `./functions/${name}/index.ts`) ?? "";
    return [{ name, entrypoint, importMap: path("import_map", undefined) }];
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Reads the functions of a project; empty if it has no `supabase/config.toml`. */
export async function readFunctions(project: Project): Promise<FunctionConfig[]> {
  try {
    return parseFunctions(await Deno.readTextFile(`${project.supabase}/config.toml`), project.supabase);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
