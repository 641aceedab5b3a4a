/**
 * The form of the functions that `init --migrate` is tried with, and their common parts.
 *
 * @module
 */

/** A function of a project, before its migration. */
export interface SampleFunction {
  readonly source: string;
  /** Modules beside it, by path relative to the function's folder. */
  readonly others?: Readonly<Record<string, string>>;
  /** The imports of its import map. */
  readonly imports?: Readonly<Record<string, string>>;
  /** Parts of the reasons for which clients stay; empty if none stays. */
  readonly left: readonly string[];
  /** True if clients are replaced. Default: whether none stays. */
  readonly isRewritten?: boolean;
  /** The file's name. Default: `index.ts`. */
  readonly file?: string;
  /** True if it only has to be left alone: it does not run by itself. */
  readonly isStatic?: boolean;
}

/** The import of `createClient`. */
export const CREATE = `import { createClient } from "@supabase/supabase-js";\n`;
/** The address of the project. */
export const URL_ = `Deno.env.get("SUPABASE_URL")!`;
/** The key of anonymous callers. */
export const ANON = `Deno.env.get("SUPABASE_ANON_KEY")!`;
/** The key of the service role. */
export const SERVICE = `Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!`;
/** A client of the service role. */
export const ADMIN = `createClient(${URL_}, ${SERVICE})`;
/** A client of anonymous callers. */
export const OPEN = `createClient(${URL_}, ${ANON})`;
/** A client of the caller. */
export const USER =
  `createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: req.headers.get("Authorization") ?? "" } } })`;
/** A query. */
export const NOTES = `.from("notes").select()`;
/** Returns a function whose handler has a body. */
export const serve = (body: string, before = ""): string =>
  `${CREATE}${before}Deno.serve(async (req: Request) => {\n${body}\n});\n`;
/** Returns a response. */
export const reply = (expression: string): string => `  return Response.json(${expression});`;
