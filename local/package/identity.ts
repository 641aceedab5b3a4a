/**
 * The name and the version of the package. To publish under another name, change them here and nowhere else: the
 * documents of the artifacts follow.
 *
 * @module
 */

/** The name on npm and on JSR. The scope is a placeholder. */
export const PACKAGE_NAME = "@example/supabase-pool";

/** The version on npm and on JSR. */
export const PACKAGE_VERSION = "0.1.0";

/** The name that the documents of this repository use. */
export const DOCUMENTED_NAME = "@example/supabase-pool";

/** The entry points of the library: subpath of the package to module, relative to the root. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
  ".": "shared/mod.ts",
  "./hono": "shared/http/hono.ts",
  "./fields": "shared/http/fields.ts",
  "./postgres": "shared/postgres/mod.ts",
  "./data": "shared/data/mod.ts",
  "./cache": "shared/cache/mod.ts",
  "./observability": "shared/observability/mod.ts",
  "./tunnel": "shared/data/tunnel/mod.ts",
  "./connection-log": "shared/data/connection_log/mod.ts",
  "./http/postgres": "shared/http/postgres.ts",
};

/** Returns the file of an entry point in the bundle, without its extension: `./http/postgres` is `http/postgres`. */
export function bundleName(subpath: string): string {
  return subpath === "." ? "mod" : subpath.slice("./".length);
}

/** The tools that the package runs: subpath of the package to module, relative to the root. */
export const TOOLS: Readonly<Record<string, string>> = {
  "./init": "local/init/main.ts",
  "./doctor": "local/doctor/main.ts",
  "./dev": "local/dev.ts",
  "./deploy": "local/deploy/main.ts",
  "./dashboard": "local/dashboard/main.ts",
  "./load": "local/load/main.ts",
};

/**
 * Returns the specifier for a function's import map.
 *
 * @example
 * ```ts
 * import { packageSpecifier } from "./identity.ts";
 *
 * packageSpecifier("/hono"); // npm:@example/supabase-pool@^0.1.0/hono
 * ```
 *
 * @param subpath The entry point, with a leading slash. Default: the main one.
 */
export function packageSpecifier(subpath: string = ""): string {
  return `npm:${PACKAGE_NAME}@^${PACKAGE_VERSION}${subpath}`;
}
