/**
 * What a key and a token say of themselves, without verifying either.
 *
 * @module
 */

/** The claims of a JWT that matter here; anything may be missing or of a wrong type. */
export interface UnverifiedClaims {
  readonly sub?: unknown;
  readonly exp?: unknown;
  readonly role?: unknown;
}

/** The claims a JWT carries, unverified; `undefined` when it is none. */
export function decodeClaims(token: string): UnverifiedClaims | undefined {
  const [header, payload, signature, more] = token.split(".");
  if (!header || !payload || !signature || more !== undefined) return undefined;
  try {
    const text = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const claims: unknown = JSON.parse(text);
    return claims !== null && typeof claims === "object" && !Array.isArray(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** What clients made with a key may do. */
export type PoolKind =
  /** The key gives anonymous rights; a user's come with a token. */
  | "user"
  /** The key bypasses row-level security. */
  | "admin";

/**
 * The kind of a project's key: a secret key (`sb_secret_…`) and a legacy
 * service_role key make admin clients, every other one makes user clients.
 */
export function kindOfKey(key: string): PoolKind {
  if (key.startsWith("sb_secret_")) return "admin";
  return decodeClaims(key)?.role === "service_role" ? "admin" : "user";
}

/**
 * Whether a key may be sent as a bearer token. The newer keys are no JWTs and
 * belong into the `apikey` header only.
 */
export function isBearerKey(key: string): boolean {
  return !key.startsWith("sb_publishable_") && !key.startsWith("sb_secret_");
}
