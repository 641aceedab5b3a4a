/** Creates tokens as Supabase Auth signs them, and invalid ones. */
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import { JWT_SECRET } from "./fake_pools.ts";

export const USER = {
  sub: "11111111-1111-4111-8111-111111111111",
  role: "authenticated",
  aud: "authenticated",
  iss: "https://project.supabase.co/auth/v1",
  email: "ada@example.test",
  app_metadata: { provider: "email" },
  user_metadata: { name: "Ada" },
};

const nowSeconds = () => Math.floor(Date.now() / 1_000);

/** Returns the claims of a user with `changes`; `undefined` removes a claim. */
export function claims(changes: Record<string, unknown> = {}): JWTPayload {
  const all = { ...USER, iat: nowSeconds() - 10, exp: nowSeconds() + 600, ...changes };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Returns a token signed with the shared secret, as older projects and the local stack sign them. */
export async function sharedSecretToken(
  changes: Record<string, unknown> = {},
  { secret = JWT_SECRET, alg = "HS256", kid }: { secret?: string; alg?: string; kid?: string } = {},
): Promise<string> {
  return await new SignJWT(claims(changes))
    .setProtectedHeader({ alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) })
    .sign(new TextEncoder().encode(secret));
}

const encode = (part: unknown) =>
  btoa(JSON.stringify(part)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Returns a token without a signature. */
export function unsignedToken(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
  return `${encode({ alg: "none", typ: "JWT", ...header })}.${encode(claims(changes))}.`;
}

/** A signing key of a project. */
export interface ProjectKey {
  /** The key set that the project publishes. */
  readonly jwks: { keys: JWK[] };
  /** Returns a token signed with the key. */
  sign(changes?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

/** Creates a signing key. */
export async function createProjectKey(kid = "key-1"): Promise<ProjectKey> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig" };
  return {
    jwks: { keys: [jwk] },
    sign: (changes = {}, header = {}) =>
      new SignJWT(claims(changes)).setProtectedHeader({ alg: "ES256", typ: "JWT", kid, ...header }).sign(privateKey),
  };
}
