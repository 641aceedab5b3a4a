/**
 * References to environment variables in `config.toml`: `env(NAME)`.
 *
 * As in the Supabase CLI, a variable is looked up in the environment, then in `.env` files of the folder `supabase` and
 * of the project's folder. A reference to a variable that is not set keeps its text.
 *
 * @module
 */
import { parseEnv } from "node:util";
import { isTable, type TomlTable } from "./toml.ts";

const REFERENCE = /^env\((.*)\)$/;

/** The `.env` files that the CLI reads, the first one wins. */
function fileNames(environment: string): string[] {
  return [
    `.env.${environment}.local`,
    ...(environment === "test" ? [] : [".env.local"]),
    `.env.${environment}`,
    ".env",
  ];
}

/**
 * Returns the variables that `env(NAME)` may name: those of the environment, and of the `.env` files in `folders`. The
 * first folder wins over the others, and the environment over all of them.
 */
export async function readVariables(
  folders: readonly string[],
  environment: Readonly<Record<string, string>> = Deno.env.toObject(),
): Promise<Record<string, string>> {
  const variables = { ...environment };
  const paths = folders.flatMap((folder) =>
    fileNames(environment.SUPABASE_ENV || "development").map((name) => `${folder}/${name}`)
  );
  for (const path of paths) {
    const text = await Deno.readTextFile(path).catch(() => "");
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (value !== undefined && !Object.hasOwn(variables, name)) variables[name] = value;
    }
  }
  return variables;
}

/** A document whose references are replaced. */
export interface Resolved {
  /** The document. */
  readonly table: TomlTable;
  /** The variables that are referenced but not set, by the path of the setting. */
  readonly unset: ReadonlyMap<string, string>;
}

/** Replaces each string `env(NAME)` in `table` with the variable, if it is set. */
export function resolveReferences(table: TomlTable, variables: Readonly<Record<string, string>>): Resolved {
  const unset = new Map<string, string>();
  const resolve = (value: unknown, path: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => resolve(item, path));
    if (isTable(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, resolve(item, path === "" ? key : `${path}.${key}`)]),
      );
    }
    const name = typeof value === "string" ? REFERENCE.exec(value)?.[1] : undefined;
    if (name === undefined) return value;
    const found = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (found !== undefined && found !== "") return found;
    unset.set(path, name);
    return value;
  };
  const resolved = resolve(table, "");
  return { table: isTable(resolved) ? resolved : {}, unset };
}
