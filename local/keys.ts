/**
 * The secrets of one local project: made at the first start, kept from then
 * on in a file that only its owner may read.
 *
 * @module
 */
import { StackFault } from "./fault.ts";

/** Secrets of a stack. */
export interface Keys {
  /** The key that a browser may hold: role `anon`, or the user's. */
  readonly publishableKey: string;
  /** The key that passes row-level security. */
  readonly secretKey: string;
  /** What Auth signs its HS256 tokens with. */
  readonly jwtSecret: string;
  /** The password of the role `postgres`, which owns the database and is no superuser. */
  readonly databasePassword: string;
  /** The password of the role `authenticator`, which may only become another role. */
  readonly authenticatorPassword: string;
  /** The password of the superuser, for the stack alone. */
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

/** Fresh secrets, of 192 bits and more. */
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
 * The keys kept in `path`; made and written there, mode 600, if there is none.
 *
 * @throws {StackFault} `DATA_DAMAGED` if the file holds something else.
 */
export async function loadKeys(path: string): Promise<Keys> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const keys = generateKeys();
    // Written aside and renamed, so that a run killed half-way leaves no half a file.
    const draft = `${path}.${crypto.randomUUID()}`;
    await Deno.writeTextFile(draft, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, createNew: true });
    await Deno.rename(draft, path);
    return keys;
  }
  const keys = parseKeys(text);
  if (!keys) {
    throw new StackFault("DATA_DAMAGED", `${path} does not hold the stack's keys: start afresh with --reset.`);
  }
  await Deno.chmod(path, 0o600);
  return keys;
}
