/**
 * The environment of a function: the variables of the hosted runtime and the
 * project's own secrets.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { jwksOf } from "../auth/tokens.ts";
import { parseEnvFile } from "../env_file.ts";
import { legacyKeys } from "../keys.ts";
import type { Project } from "../project.ts";
import { StackError } from "../stack_error.ts";

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
  const { anonKey, serviceRoleKey } = legacyKeys(backend.jwtSecret);
  return {
    SUPABASE_URL: backend.url,
    // Under these names, hosted projects have the legacy keys, which are JWTs.
    SUPABASE_ANON_KEY: anonKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
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

/**
 * The files with the secrets of functions; later ones win. The first two serve the whole project, so that they may hold
 * names that functions cannot have.
 */
const FILES = [
  ".env.local",
  "supabase/.env.local",
  "supabase/functions/.env",
  "functions/.env",
  "supabase/functions/.env.local",
  "functions/.env.local",
];
const SHARED_FILES = FILES.slice(0, 2);

/** Options for {@linkcode readSecrets}. */
export interface SecretsOptions {
  /** The table `[edge_runtime.secrets]` of `supabase/config.toml`; the files win over it. Default: none. */
  readonly configured?: Readonly<Record<string, string>>;
  /** The path of one more file, which wins over the others. Default: none. */
  readonly envFile?: string | undefined;
}

/** The size of a variable that Linux passes to a process, with its name, in bytes. */
const MAX_VARIABLE_BYTES = 131_000;

/** Returns the reason why no process can have a variable of this value, and the remedy. */
function unusableReason(value: string): string | undefined {
  if (value.includes("\0")) return "it contains a null byte: encode the value, for example as base64";
  const { length } = new TextEncoder().encode(value);
  return length > MAX_VARIABLE_BYTES
    ? `it has ${length} bytes, of which a process can have ${MAX_VARIABLE_BYTES}: read it from a file`
    : undefined;
}

/** Returns the reason why a file that exists cannot be read, and the remedy. */
function unreadableReason(error: unknown): string {
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder: name a file";
  if (error instanceof Deno.errors.PermissionDenied) return "its mode does not allow it: change it with chmod";
  return messageOf(error);
}

/**
 * Reads the project's own secrets.
 *
 * @returns The variables, and a warning for each that is ignored and for each invalid line.
 * @throws {StackError} `CONFIG_INVALID` if `envFile` does not exist, or a file cannot be read.
 */
export async function readSecrets(
  project: Project,
  { configured = {}, envFile }: SecretsOptions = {},
): Promise<{ secrets: Record<string, string>; warnings: string[] }> {
  const secrets: Record<string, string> = {};
  const warnings: string[] = [];
  const add = (file: string, variables: Readonly<Record<string, string>>) => {
    for (const [name, value] of Object.entries(variables)) {
      const unusable = unusableReason(value);
      if (unusable !== undefined) warnings.push(`${file}: ${name} is ignored, because ${unusable}.`);
      else if (!name.startsWith("SUPABASE_")) secrets[name] = value;
      else if (!SHARED_FILES.includes(file)) {
        warnings.push(
          `${file}: ${name} is ignored, because names that begin with SUPABASE_ are reserved: rename it.`,
        );
      }
    }
  };
  add("supabase/config.toml", configured);
  for (const file of envFile === undefined ? FILES : [...FILES, envFile]) {
    let text: string;
    try {
      text = await Deno.readTextFile(file.startsWith("/") ? file : `${project.root}/${file}`);
    } catch (error) {
      const missing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
      if (missing && file !== envFile) continue;
      throw new StackError(
        "CONFIG_INVALID",
        missing
          ? `File not found: ${file}, the file of --env-file.`
          : `Cannot read the secrets in ${file}, because ${unreadableReason(error)}.`,
        { cause: error },
      );
    }
    const { variables, strayLines, unclosedLines } = parseEnvFile(text);
    for (const line of strayLines) {
      warnings.push(`${file}, line ${line} is ignored, because it is not NAME=value: fix it, or begin it with #.`);
    }
    for (const line of unclosedLines) {
      warnings.push(`${file}, line ${line}: the value keeps its quote, because the quote is not closed: close it.`);
    }
    add(file, variables);
  }
  return { secrets, warnings };
}
