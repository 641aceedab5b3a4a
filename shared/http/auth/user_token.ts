/**
 * What makes a verified token a user's token, whoever verified it.
 *
 * @module
 */
import type { JWTClaims, UserClaims } from "@supabase/server";
import type { TokenFailure } from "./invalid_token.ts";

/** The role that Supabase Auth gives to signed-in users. */
export const DEFAULT_USER_ROLES: readonly string[] = Object.freeze(["authenticated"]);

/**
 * Why claims do not make their bearer a user, or `undefined` when they do: a
 * `sub` that names somebody, an `exp` still to come by the wall clock, and one
 * of `roles`. A legacy anon or service_role key is a valid token and has no
 * `sub`; without this check it would act as a user.
 *
 * @param nowMs The wall clock, in ms since the epoch.
 */
export function userTokenFailure(
  claims: Readonly<Record<string, unknown>>,
  roles: readonly string[],
  nowMs: number,
): TokenFailure | undefined {
  const { sub, exp, role } = claims;
  if (typeof sub !== "string" || sub === "") {
    return {
      reason: 'it has no "sub" claim, so it identifies no user',
      hint: 'Auth mode "user" expects an end-user access token from Supabase Auth. A token without "sub" is ' +
        'typically a legacy anon / service_role JWT — use auth mode "publishable" or "secret" for those.',
    };
  }
  if (typeof exp !== "number" || !Number.isFinite(exp)) {
    return {
      reason: 'it has no "exp" claim, so it would never expire',
      hint: "Supabase Auth gives every access token an expiry. Check which service minted the token.",
    };
  }
  if (exp * 1000 <= nowMs) {
    return {
      reason: "the token has expired",
      hint: "Refresh the session on the client (supabase.auth.refreshSession()) and retry with the new access token. " +
        "If tokens appear to expire immediately, check the server clock for skew.",
    };
  }
  if (typeof role !== "string" || !roles.includes(role)) {
    return {
      reason: 'its "role" claim is not one this endpoint takes from users',
      hint: `Accepted: ${
        roles.map((name) => `"${name}"`).join(", ")
      }. Configure \`userRoles\` (POOL_USER_ROLES) to accept another one.`,
    };
  }
  return undefined;
}

/** The claims under the names of `@supabase/server`. */
export function toUserClaims(claims: JWTClaims): UserClaims {
  const { sub, role, email, app_metadata, user_metadata } = claims;
  // Absent claims are present and undefined there; a handler sees the same keys here.
  return { id: sub, role, email, appMetadata: app_metadata, userMetadata: user_metadata } as UserClaims;
}
