/**
 * The unverified contents of keys and tokens.
 *
 * @module
 */

/** The claims of a JWT that are used here; each may be missing or of a wrong type. */
export interface UnverifiedClaims {
  readonly sub?: unknown;
  readonly exp?: unknown;
  readonly role?: unknown;
}

/** Returns the claims of a JWT, unverified; `undefined` if it is not a JWT. */
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

/** The kind of a pool, by its key. */
export type PoolKind =
  /** The key gives anonymous rights; a token adds those of its user. */
  | "user"
  /** The key bypasses row-level security. */
  | "admin";

/**
 * Returns the kind of pool that a project's key makes: `admin` for a secret key
 * (`sb_secret_...`) and a legacy service_role key, `user` for every other one.
 */
export function kindOfKey(key: string): PoolKind {
  if (isBearerKey(key)) return decodeClaims(key)?.role === "service_role" ? "admin" : "user";
  return key.startsWith("sb_secret_") ? "admin" : "user";
}

/**
 * Returns whether a key may be sent as a bearer token. The newer keys are not
 * JWTs and belong in the `apikey` header only.
 */
export function isBearerKey(key: string): boolean {
  return !key.startsWith("sb_publishable_") && !key.startsWith("sb_secret_");
}
