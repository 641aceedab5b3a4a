/**
 * The library as files of a project, for projects that do not install packages.
 *
 * @module
 */
import { parseNpm, readImports } from "./import_map.ts";

/** The packages that the bundle imports. */
export const LIBRARY_PACKAGES: readonly string[] = [
  "@opentelemetry/api",
  "@supabase/auth-js",
  "@supabase/functions-js",
  "@supabase/postgrest-js",
  "@supabase/server",
  "@supabase/server/core",
  "@supabase/storage-js",
  "@supabase/supabase-js",
  "@supabase/supabase-js/cors",
  "hono",
  "hono/http-exception",
  "ioredis",
  "jose",
  "kysely",
  "lru-cache",
  "pg",
  "ssh2",
  "zod",
];

/** The package that a launcher runs from. `undefined`: this is a checkout. */
function packageFolder(): string | undefined {
  return Deno.env.get("SUPABASE_POOL_PACKAGE") || undefined;
}

/**
 * Lets Deno find the types of a vendored bundle. In a package, it takes `x.d.ts` for the types of `x.js`; among files of
 * a project it needs that in writing.
 */
async function linkTypes(folder: string, path = ""): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(`${folder}/${path}`));
  for (const { name, isDirectory } of names) {
    const file = `${folder}/${path}${name}`;
    if (isDirectory) await linkTypes(folder, `${path}${name}/`);
    else if (name.endsWith(".d.ts")) {
      const text = await Deno.readTextFile(file);
      await Deno.writeTextFile(file, text.replaceAll(/(from "\.[^"]*)\.js"/g, '$1.d.ts"'));
    } else if (name.endsWith(".js") && names.some((each) => each.name === name.replace(/\.js$/, ".d.ts"))) {
      const types = `./${name.replace(/\.js$/, ".d.ts")}`;
      await Deno.writeTextFile(file, `/* @ts-self-types="${types}" */\n${await Deno.readTextFile(file)}`);
    }
  }
}

/** Copies the files of a folder. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/**
 * Writes the library's bundle and its types into `folder`: a module for each entry point (`mod.js`, `hono.js`,
 * `fields.js`, `postgres.js`, `data.js`, `cache.js`, `observability.js`, `tunnel.js`, `connection-log.js`,
 * `http/postgres.js`) and `chunks/`. From the package it is copied; in a checkout it is built.
 *
 * @param own The folder of the package. Default: that of the launcher, if one runs this.
 */
export async function writeLibrary(folder: string, own: string | undefined = packageFolder()): Promise<void> {
  if (own !== undefined) await copyFolder(`${own}/dist`, folder);
  else {
    const { buildBundle } = await import("./artifacts.ts");
    await copyFolder((await buildBundle(new URL("../../", import.meta.url))).folder, folder);
  }
  await linkTypes(folder);
}

/**
 * Returns what a function's import map must have for the bundle: specifier to target, for `deno.json`.
 *
 * @param packages The packages that the bundle imports. Default: all.
 */
export async function libraryImports(packages: readonly string[] = LIBRARY_PACKAGES): Promise<Record<string, string>> {
  const imports = await readImports(new URL("../../", import.meta.url));
  const chosen: Record<string, string> = {};
  for (const specifier of packages) {
    const found = parseNpm(imports[specifier] ?? "");
    if (found) chosen[specifier] = `npm:${found.name}@^${found.version}${found.subpath}`;
  }
  return chosen;
}
