/**
 * The import map of a function, found as the Supabase CLI finds it, and the flags
 * that run Deno with it and with no other configuration.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
import { importMapFlag, readImportMap } from "./type_imports.ts";

/** The rule that an import map was found by. */
export type ImportMapSource =
  /** `import_map` in `supabase/config.toml`. */
  | "config.toml"
  /** A file in the folder of the function. */
  | "function"
  /** `supabase/functions/import_map.json`, for all functions. */
  | "functions"
  /** `supabase/functions/deno.json`, which `supabase functions serve` reads and `deploy --use-api` does not upload. */
  | "workspace"
  /** `package.json` in the folder of the function. */
  | "package.json"
  /** There is none. */
  | "none";

/** The folders to look in. */
export interface ImportMapFolders {
  /** The folder of the function's module. */
  readonly entrypointFolder: string;
  /** Its folder in `supabase/functions`, by its name. */
  readonly functionFolder: string;
  /** `supabase/functions`. */
  readonly functionsFolder: string;
}

/** An import map and its origin. */
export interface FoundImportMap {
  /** The path, absolute. */
  readonly importMap: string | undefined;
  /** The rule. */
  readonly importMapSource: ImportMapSource;
}

/**
 * Finds the import map of a function.
 *
 * @param configured The file that `supabase/config.toml` names, absolute.
 */
export async function findImportMap(
  configured: string | undefined,
  { entrypointFolder, functionFolder, functionsFolder }: ImportMapFolders,
): Promise<FoundImportMap> {
  if (configured !== undefined) return { importMap: configured, importMapSource: "config.toml" };
  const candidates: [path: string, source: ImportMapSource][] = [
    [`${entrypointFolder}/deno.json`, "function"],
    [`${entrypointFolder}/deno.jsonc`, "function"],
    [`${functionFolder}/deno.json`, "function"],
    [`${functionFolder}/deno.jsonc`, "function"],
    [`${functionFolder}/import_map.json`, "function"],
    [`${functionsFolder}/import_map.json`, "functions"],
    [`${entrypointFolder}/package.json`, "package.json"],
    [`${functionsFolder}/deno.json`, "workspace"],
    [`${functionsFolder}/deno.jsonc`, "workspace"],
  ];
  for (const [path, source] of candidates) {
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) {
      return { importMap: path, importMapSource: source };
    }
  }
  return { importMap: undefined, importMapSource: "none" };
}

/** Returns the import map that the dependencies of a `package.json` amount to. */
export function packageImports(text: string): Record<string, string> {
  const { dependencies = {} }: { dependencies?: Record<string, string> } = JSON.parse(text);
  return Object.fromEntries(
    Object.entries(dependencies).flatMap(([name, range]) => {
      // `npm:other@1` installs another package under this name.
      const target = range.startsWith("npm:") ? range.slice(4) : `${name}@${range}`;
      return [[name, `npm:${target}`], [`${name}/`, `npm:/${target}/`]];
    }),
  );
}

/**
 * Returns the flags that make Deno resolve imports with `importMap` only: neither the configuration of this project, nor
 * a lock file or `node_modules` folder of the function's project takes part, as on the hosted runtime.
 *
 * @param rootConfig Deno's configuration of the project. It takes part only if it replaces packages with local ones
 *   (`links`).
 * @param types The specifiers of type declarations, of which nothing is loaded. Default: none.
 * @throws {StackError} `CONFIG_INVALID` if the file cannot be read.
 */
export async function resolutionFlags(
  { importMap, importMapSource }: FoundImportMap,
  rootConfig: string | undefined,
  types: readonly string[] = [],
): Promise<string[]> {
  const alone = ["--no-lock", "--node-modules-dir=none"];
  if (importMap === undefined) {
    return ["--no-config", ...alone, ...types.length > 0 ? [importMapFlag({ imports: {} }, types)] : []];
  }
  let text: string;
  try {
    text = await Deno.readTextFile(importMap);
    if (importMapSource === "package.json") {
      return ["--no-config", ...alone, importMapFlag({ imports: packageImports(text) }, types)];
    }
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "the file does not exist" : messageOf(error);
    throw new StackError("CONFIG_INVALID", `Cannot read the import map ${importMap}: ${reason}`, { cause: error });
  }
  const ofTypes = types.length > 0 ? importMapFlag(await readImportMap(importMap), types) : undefined;
  if (/\/deno\.jsonc?$/.test(importMap)) return [`--config=${importMap}`, ...alone, ...ofTypes ? [ofTypes] : []];
  const linked = rootConfig !== undefined && /"links"\s*:/.test(await Deno.readTextFile(rootConfig).catch(() => ""));
  return [linked ? `--config=${rootConfig}` : "--no-config", ofTypes ?? `--import-map=${importMap}`, ...alone];
}
