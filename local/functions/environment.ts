/**
 * The environment of a function: the names that the hosted runtime gives, and
 * the project's own secrets.
 *
 * @module
 */
import { parseEnv } from "node:util";
import type { Project } from "../project.ts";

/** What a function is told of the stack. */
export interface FunctionsBackend {
  /** The gateway. */
  readonly url: string;
  /** The database, as the role `postgres`. */
  readonly databaseUrl: string;
  /** The publishable key. */
  readonly publishableKey: string;
  /** The secret key. */
  readonly secretKey: string;
  /** What Auth signs with. */
  readonly jwtSecret: string;
}

/** The variables of every function, by their hosted names. */
export function hostedEnvironment(backend: FunctionsBackend): Record<string, string> {
  return {
    SUPABASE_URL: backend.url,
    SUPABASE_ANON_KEY: backend.publishableKey,
    SUPABASE_SERVICE_ROLE_KEY: backend.secretKey,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: backend.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: backend.secretKey }),
    SUPABASE_DB_URL: backend.databaseUrl,
    // Hosted projects verify by published keys. Auth of this stack signs with a shared secret, and names that begin
    // with SUPABASE_ are not ours to add.
    JWT_SECRET: backend.jwtSecret,
    SB_REGION: "local",
  };
}

/** Where a project keeps secrets for its functions, as the Supabase CLI does, and its own place. */
const FILES = ["supabase/functions/.env", "functions/.env"];

/**
 * The project's own secrets, from `supabase/functions/.env` and `functions/.env`.
 *
 * @returns The variables, and one line for each that the hosted platform would not take.
 */
export async function readSecrets(project: Project): Promise<{ secrets: Record<string, string>; warnings: string[] }> {
  const secrets: Record<string, string> = {};
  const warnings: string[] = [];
  for (const file of FILES) {
    let text: string;
    try {
      text = await Deno.readTextFile(`${project.root}/${file}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (value === undefined) continue;
      if (name.startsWith("SUPABASE_")) {
        warnings.push(
          `${file}: ${name} is left out, as names that begin with SUPABASE_ are the platform's: rename it.`,
        );
      } else secrets[name] = value;
    }
  }
  return { secrets, warnings };
}
