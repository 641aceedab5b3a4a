/**
 * The secrets of a local project: created at the first start and stored in a
 * file that only its owner may read.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { StackError } from "./stack_error.ts";

/** The secrets of a stack. */
export interface Keys {
  /** The key for browsers: role `anon`, or the role of a signed-in user. */
  readonly publishableKey: string;
  /** The key that bypasses row-level security. */
  readonly secretKey: string;
  /** The private key that Auth signs its ES256 tokens with: a JWK with a `kid`, as JSON. */
  readonly signingKey: string;
  /** The secret of HS256 tokens: the legacy keys, see {@linkcode legacyKeys}. */
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
  "signingKey",
  "jwtSecret",
  "databasePassword",
  "authenticatorPassword",
  "superuserPassword",
] as const satisfies (keyof Keys)[];

function random(bytes: number): string {
  const binary = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(bytes)));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Generates a private key for ES256, as a JWK in JSON. Its `kid` is random. */
function generateSigningKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return JSON.stringify({
    ...privateKey.export({ format: "jwk" }),
    kid: crypto.randomUUID(),
    alg: "ES256",
    use: "sig",
  });
}

/** The legacy API keys of a project. */
export interface LegacyKeys {
  /** The key for browsers, a token of the role `anon`. */
  readonly anonKey: string;
  /** The key that bypasses row-level security, a token of the role `service_role`. */
  readonly serviceRoleKey: string;
}

/** Returns the API keys that older projects have: tokens that are signed with the shared secret, valid until 2035. */
export function legacyKeys(jwtSecret: string): LegacyKeys {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const key = (role: string) => {
    const claims = { iss: "supabase", ref: "local", role, iat: 1735689600, exp: 2051222400 };
    const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
    return `${content}.${createHmac("sha256", jwtSecret).update(content).digest("base64url")}`;
  };
  return { anonKey: key("anon"), serviceRoleKey: key("service_role") };
}

/** Generates secrets of at least 192 bits, and a key for ES256. */
export function generateKeys(): Keys {
  return {
    publishableKey: `sb_publishable_${random(24)}`,
    secretKey: `sb_secret_${random(24)}`,
    signingKey: generateSigningKey(),
    jwtSecret: random(48),
    databasePassword: random(24),
    authenticatorPassword: random(24),
    superuserPassword: random(24),
  };
}

/** Returns the keys in `text`. A file of an earlier version has no signing key: the one returned with it is empty. */
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
    signingKey: fields.signingKey ?? "",
    jwtSecret: fields.jwtSecret ?? "",
    databasePassword: fields.databasePassword ?? "",
    authenticatorPassword: fields.authenticatorPassword ?? "",
    superuserPassword: fields.superuserPassword ?? "",
  };
  if (!NAMES.every((name) => keys[name].length >= 16 || name === "signingKey")) return undefined;
  return keys.signingKey === "" || isSigningKey(keys.signingKey) ? keys : undefined;
}

function isSigningKey(text: string): boolean {
  try {
    const { kty, crv, x, y, d, kid } = JSON.parse(text);
    return kty === "EC" && crv === "P-256" && [x, y, d, kid].every((part) => typeof part === "string");
  } catch {
    return false;
  }
}

/** Writes keys to a draft and renames it, so that a killed process leaves no partial file. */
async function writeKeys(path: string, keys: Keys): Promise<Keys> {
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, createNew: true });
  await Deno.rename(draft, path);
  return keys;
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
    return await writeKeys(path, generateKeys());
  }
  const keys = parseKeys(text);
  if (!keys) {
    throw new StackError(
      "DATA_DAMAGED",
      `${path} does not contain the keys of the stack: run with --reset to create them again.`,
    );
  }
  await Deno.chmod(path, 0o600);
  return keys.signingKey === "" ? await writeKeys(path, { ...keys, signingKey: generateSigningKey() }) : keys;
}
