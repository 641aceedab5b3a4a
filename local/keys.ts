/**
 * The secrets of a local project: created at the first start and stored in a
 * file that only its owner may read.
 *
 * @module
 */
import { StackError } from "./stack_error.ts";

/** The secrets of a stack. */
export interface Keys {
  /** The key for browsers: role `anon`, or the role of a signed-in user. */
  readonly publishableKey: string;
  /** The key that bypasses row-level security. */
  readonly secretKey: string;
  /** The secret that Auth signs its HS256 tokens with. */
  readonly jwtSecret: string;
  /** The password of the role `postgres`, which owns the database but is not a superuser. */
  readonly databasePassword: string;
  /** The password of the role `authenticator`, which may only become another role. */
  readonly authenticatorPassword: string;
  /** The password of the superuser, for the stack only. */
  readonly superuserPassword: string;
}

const NAMES = [
  "publishableKey",
  "secretKey",
  "jwtSecret",
  "databasePassword",
  "authenticatorPassword",
  "superuserPassword",
] as const satisfies (keyof Keys)[];

function random(bytes: number): string {
  const binary = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(bytes)));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Generates secrets of at least 192 bits. */
export function generateKeys(): Keys {
  return {
    publishableKey: `sb_publishable_${random(24)}`,
    secretKey: `sb_secret_${random(24)}`,
    jwtSecret: random(48),
    databasePassword: random(24),
    authenticatorPassword: random(24),
    superuserPassword: random(24),
  };
}

function parseKeys(text: string): Keys | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const found = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const fields: Record<string, string> = Object.fromEntries(found);
  const keys: Keys = {
    publishableKey: fields.publishableKey ?? "",
    secretKey: fields.secretKey ?? "",
    jwtSecret: fields.jwtSecret ?? "",
    databasePassword: fields.databasePassword ?? "",
    authenticatorPassword: fields.authenticatorPassword ?? "",
    superuserPassword: fields.superuserPassword ?? "",
  };
  return NAMES.every((name) => keys[name].length >= 16) ? keys : undefined;
}

/**
 * Loads the keys from the file `path`. If it does not exist, generates keys and
 * writes it with mode 600.
 *
 * @throws {StackError} `DATA_DAMAGED` if the file is not valid.
 */
export async function loadKeys(path: string): Promise<Keys> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const keys = generateKeys();
    // Written to a draft and renamed, so that a killed process leaves no partial file.
    const draft = `${path}.${crypto.randomUUID()}`;
    await Deno.writeTextFile(draft, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, createNew: true });
    await Deno.rename(draft, path);
    return keys;
  }
  const keys = parseKeys(text);
  if (!keys) {
    throw new StackError(
      "DATA_DAMAGED",
      `${path} does not contain the keys of the stack: run with --reset to create them again.`,
    );
  }
  await Deno.chmod(path, 0o600);
  return keys;
}
