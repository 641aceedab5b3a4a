/**
 * The command lines of the tools: those of a clone of the repository, or those of the package.
 *
 * @module
 */
import { PACKAGE_NAME, TOOLS } from "./package/identity.ts";

/** The variable that the launcher of the package sets: the folder of the package. */
const PACKAGE_VARIABLE = "SUPABASE_POOL_PACKAGE";

/** Returns an argument as a shell reads it: quoted where it has to be. */
export function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/**
 * Returns the command that runs a tool, as it works where this process runs.
 *
 * @example
 * ```ts
 * import { commandOf } from "./invocation.ts";
 *
 * commandOf("dev", "--project", "../my app"); // npx -y deno task dev --project '../my app'
 * ```
 *
 * @param tool The name of the task, and of the entry point of the package: `dev`.
 */
export function commandOf(tool: string, ...args: readonly string[]): string {
  const isPackage = Boolean(Deno.env.get(PACKAGE_VARIABLE)) && `./${tool}` in TOOLS;
  const command = isPackage ? `npx -y deno run -A npm:${PACKAGE_NAME}/${tool}` : `npx -y deno task ${tool}`;
  return [command, ...args.map(quoted)].join(" ");
}
