/**
 * The environment of a function: the variables of the hosted runtime and the
 * project's own secrets.
 *
 * @module
 */
import { parseEnv } from "node:util";
import { jwksOf } from "../auth/tokens.ts";
import type { Project } from "../project.ts";

/** The parts of the stack that functions use. */
export interface FunctionsBackend {
  /** The URL of the gateway. */
  readonly url: string;
  /** The URL of the database for the role `postgres`. */
  readonly databaseUrl: string;
  /** The password of the role `authenticator`. */
  readonly authenticatorPassword: string;
  /** The publishable key. */
  readonly publishableKey: string;
  /** The secret key. */
  readonly secretKey: string;
  /** The private key that Auth signs with, as JSON. */
  readonly signingKey: string;
  /** The secret of legacy tokens. */
  readonly jwtSecret: string;
}

/**
 * Returns the variables of every function by their hosted names, and those that a
 * hosted project sets as secrets for direct Postgres and shared JWT secrets.
 */
export function hostedEnvironment(backend: FunctionsBackend): Record<string, string> {
  return {
    SUPABASE_URL: backend.url,
    SUPABASE_ANON_KEY: backend.publishableKey,
    SUPABASE_SERVICE_ROLE_KEY: backend.secretKey,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: backend.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: backend.secretKey }),
    SUPABASE_DB_URL: backend.databaseUrl,
    // The URL logs in as `postgres`, which has too many rights to act for callers; see `checkLoginRole`.
    DB_USER: "authenticator",
    DB_PASSWORD: backend.authenticatorPassword,
    SUPABASE_JWKS: JSON.stringify(jwksOf(backend.signingKey)),
    // For tokens of the shared secret: a hosted project sets it under a name of its own.
    JWT_SECRET: backend.jwtSecret,
    SB_REGION: "local",
  };
}

/** The files with the secrets of functions: that of the Supabase CLI, and that of this project. */
const FILES = ["supabase/functions/.env", "functions/.env"];

const NAME = /^[\w.-]+$/;

/** Returns the numbers of the lines of `text` that are neither blank, a comment nor part of `NAME=value`. */
export function strayLines(text: string): number[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const stray: number[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = (lines[at] ?? "").trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", value = ""] = /^(?:export\s)?([^=]*)=(.*)$/.exec(line) ?? [];
    if (!NAME.test(name.trim())) {
      stray.push(at + 1);
      continue;
    }
    const quote = /^["'`]/.exec(value.trimStart())?.[0];
    if (quote === undefined || value.trimStart().indexOf(quote, 1) > 0) continue;
    // A quoted value may span several lines; one without a closing quote ends with its line.
    const last = lines.findIndex((later, index) => index > at && later.includes(quote));
    if (last > 0) at = last;
  }
  return stray;
}

/**
 * Reads the project's own secrets from `supabase/functions/.env` and `functions/.env`.
 *
 * @returns The variables, and a warning for each name that the hosted platform reserves and for each invalid line.
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
    for (const line of strayLines(text)) {
      warnings.push(`${file}, line ${line} is ignored, because it is not NAME=value: fix it, or begin it with #.`);
    }
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (value === undefined || !NAME.test(name)) continue;
      if (name.startsWith("SUPABASE_")) {
        warnings.push(
          `${file}: ${name} is ignored, because names that begin with SUPABASE_ are reserved: rename it.`,
        );
      } else secrets[name] = value;
    }
  }
  return { secrets, warnings };
}
