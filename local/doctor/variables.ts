/**
 * The variables of a project, and which file each one comes from.
 *
 * @module
 */
import { parseEnv } from "node:util";
import type { Project } from "../project.ts";
import { StackError } from "../stack_error.ts";

/** The files that the Supabase CLI and the local stack read. The first that sets a variable wins. */
const FILES = ["supabase/functions/.env", "functions/.env", ".env.local", ".env", "supabase/.env"];

/** The variables of other programs that say nothing about the project. */
const RELEVANT = /^(SUPABASE_|DB_|POSTGRES_|POOL_|SSH_|JWT_SECRET$|PG(?:HOST|PORT|USER|PASSWORD|DATABASE)$)/;

/** The variables of a project. */
export interface ProjectVariables {
  readonly values: Readonly<Record<string, string>>;
  /** The source of each variable: a file, or `environment`. */
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * Reads the variables of a project.
 *
 * @param envFiles The files; empty for those of the project.
 * @param environment The variables that win over those of files.
 * @throws {StackError} `USAGE` if a named file cannot be read.
 */
export async function readProjectFiles(
  { root }: Project,
  envFiles: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ProjectVariables> {
  const values: Record<string, string> = {};
  const sources: Record<string, string> = {};
  const add = (entries: Readonly<Record<string, string | undefined>>, source: string) => {
    for (const [name, value] of Object.entries(entries)) {
      if (value === undefined || value === "" || Object.hasOwn(values, name) || !RELEVANT.test(name)) continue;
      values[name] = value;
      sources[name] = source;
    }
  };
  add(environment, "environment");
  for (const file of envFiles.length > 0 ? envFiles : FILES) {
    const path = envFiles.length > 0 ? file : `${root}/${file}`;
    let text: string;
    try {
      text = await Deno.readTextFile(path);
    } catch (error) {
      if (envFiles.length === 0) continue;
      const reason = error instanceof Deno.errors.NotFound ? "it does not exist" : "it cannot be read";
      throw new StackError("USAGE", `Cannot read ${file}: ${reason}.`, { cause: error });
    }
    add(parseEnv(text), file);
  }
  return { values, sources };
}
