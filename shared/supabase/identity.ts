/**
 * On whose behalf a lease acts.
 *
 * @module
 */
import { IdentityError } from "./errors.ts";
import { decodeClaims, isBearerKey, type PoolKind } from "./keys.ts";

/**
 * On whose behalf a lease acts.
 *
 * - `"anonymous"`: nobody in particular, with the rights of the publishable key.
 * - `{ token }`: a user, by the access token of a request. Its signature must
 *   have been verified, as `withPooledSupabase` does; the Data API verifies it again.
 * - `"admin"`: the project itself, past row-level security; on admin pools only.
 */
export type Identity = "anonymous" | "admin" | { readonly token: string };

/** What a lease sends with each call. */
export interface Credentials {
  /** The `apikey` header. */
  readonly apikey: string;
  /** The `authorization` header; `undefined` for none. */
  readonly authorization: string | undefined;
  /** The user's token, where there is one. */
  readonly token: string | undefined;
  /** Whether the holder may send an `authorization` header of its own. */
  readonly mayOverride: boolean;
}

/**
 * What a lease for `identity` sends, on a pool of `kind` with `key`. Without an
 * identity it is the pool's own: anonymous, or admin on an admin pool.
 *
 * A user's token is required to name its user (`sub`), to be valid still
 * (`exp`, by the wall clock) and to carry one of `roles`: a legacy anon or
 * service_role key is a valid token too, but nobody's.
 *
 * @throws {IdentityError} when the pool cannot act for that identity.
 */
export function credentialsFor(
  identity: Identity | undefined,
  kind: PoolKind,
  key: string,
  roles: readonly string[],
): Credentials {
  const own = isBearerKey(key) ? `Bearer ${key}` : undefined;
  if (kind === "admin") {
    if (identity !== undefined && identity !== "admin") {
      throw new IdentityError("An admin pool acts as admin only: acquire for users from the user pool");
    }
    return { apikey: key, authorization: own, token: undefined, mayOverride: true };
  }
  if (identity === "admin") {
    throw new IdentityError("A user pool cannot act as admin: acquire from a pool made with the secret key");
  }
  if (identity === undefined || identity === "anonymous") {
    return { apikey: key, authorization: own, token: undefined, mayOverride: false };
  }
  const token: unknown = identity === null ? undefined : identity.token;
  checkToken(token, roles);
  return { apikey: key, authorization: `Bearer ${token}`, token, mayOverride: false };
}

function checkToken(token: unknown, roles: readonly string[]): asserts token is string {
  if (typeof token !== "string" || token === "") {
    throw new IdentityError('An identity must be "anonymous", "admin" or { token }, with a user\'s access token');
  }
  const claims = decodeClaims(token);
  if (!claims) throw new IdentityError("The token is no JWT: pass the access token of a signed-in user");
  if (typeof claims.sub !== "string" || claims.sub === "") {
    throw new IdentityError("The token names no user (sub): an API key is no user's token");
  }
  if (typeof claims.role !== "string" || !roles.includes(claims.role)) {
    throw new IdentityError(`The token's role is not a user's (userRoles: ${roles.join(", ")})`);
  }
  if (typeof claims.exp !== "number" || claims.exp * 1_000 <= Date.now()) {
    throw new IdentityError("The token has expired, or says nothing of when it expires: sign in again");
  }
}
