/**
 * Imports of type declarations, such as `import "jsr:@supabase/functions-js/edge-runtime.d.ts"`. They have no code, so
 * that nothing of them is loaded: a registry that cannot be reached does not keep a function from running.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { toFileUrl } from "../paths.ts";

/** An import map. */
export interface ImportMap {
  readonly imports: Readonly<Record<string, string>>;
  readonly scopes?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A module without code. */
const EMPTY = "data:text/javascript,";

/** An import, without names, of a declaration that is not a file of the project. */
const DECLARATION = /^[ \t]{0,20}import[ \t]{0,5}["']([^."'\s/][^"'\s]{0,300}\.d\.ts)["']/gm;

const MODULE = /\.[cm]?[jt]sx?$/;
const MAX_BYTES = 1_000_000;
/** Modules of a function are a few levels deep. */
const MAX_DEPTH = 6;

async function collect(folder: string, depth: number, found: Set<string>): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name, isDirectory, isFile } of entries) {
    const path = `${folder}/${name}`;
    if (isDirectory && depth > 0 && name !== "node_modules" && !name.startsWith(".")) {
      await collect(path, depth - 1, found);
    }
    if (!isFile || !MODULE.test(name)) continue;
    const { size } = await Deno.stat(path);
    if (size > MAX_BYTES) continue;
    for (const [, specifier = ""] of (await Deno.readTextFile(path)).matchAll(DECLARATION)) found.add(specifier);
  }
}

/** Returns the specifiers of declarations that the modules of a function, and those that functions share, import. */
export async function typeImports(entrypoint: string): Promise<string[]> {
  const folder = dirname(entrypoint);
  const found = new Set<string>();
  await collect(folder, MAX_DEPTH, found);
  await collect(join(folder, "../_shared"), MAX_DEPTH, found);
  return [...found].sort();
}

/** Parses JSON that may have comments. */
async function parseJson(text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {
    // Few files have comments, and the parser is large.
    const { default: ts } = await import("typescript");
    return ts.parseConfigFileTextToJson("deno.json", text).config;
  }
}

/** Adds what `deno.json` implies: `"x": "npm:x@1"` maps `x/y`, too. */
function expanded(imports: Readonly<Record<string, string>>): Record<string, string> {
  const all: Record<string, string> = { ...imports };
  for (const [name, target] of Object.entries(imports)) {
    if (!/^(?:npm|jsr):/.test(target) || name.endsWith("/") || `${name}/` in all) continue;
    all[`${name}/`] = `${target.replace(/^(npm|jsr):\/?/, "$1:/")}/`;
  }
  return all;
}

function absolute(imports: Readonly<Record<string, string>>, base: URL): Record<string, string> {
  const entries = Object.entries(imports).filter(([, target]) => typeof target === "string");
  return Object.fromEntries(
    entries.map(([name, target]) => [name, /^\.{0,2}\//.test(target) ? new URL(target, base).href : target]),
  );
}

/**
 * Returns the import map of a `deno.json` or an import map, for use in another place.
 *
 * @param path The path of the file, absolute.
 */
export async function readImportMap(path: string): Promise<ImportMap> {
  const base = new URL(toFileUrl(path));
  const file = await parseJson(await Deno.readTextFile(path)) as {
    imports?: Record<string, string>;
    scopes?: Record<string, Record<string, string>>;
    importMap?: string;
  };
  if (typeof file.importMap === "string" && file.imports === undefined) {
    return await readImportMap(join(dirname(path), file.importMap));
  }
  const imports = absolute(file.imports ?? {}, base);
  const scopes = Object.entries(file.scopes ?? {}).map(([scope, inner]) =>
    [new URL(scope, base).href, absolute(inner, base)] as const
  );
  return {
    imports: /\/deno\.jsonc?$/.test(path) ? expanded(imports) : imports,
    scopes: Object.fromEntries(scopes),
  };
}

/** Returns the flag for `map`, in which each of `types` is a module without code. */
export function importMapFlag(map: ImportMap, types: readonly string[]): string {
  const imports = { ...map.imports, ...Object.fromEntries(types.map((specifier) => [specifier, EMPTY])) };
  return `--import-map=data:application/json,${encodeURIComponent(JSON.stringify({ ...map, imports }))}`;
}
