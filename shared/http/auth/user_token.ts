/**
 * The rules for a user's token, and the check of its signature against a key set.
 *
 * `@supabase/server` checks signatures with the same functions of `jose`. Importing it loads supabase-js with auth and
 * realtime, which is half of the first request of a user in a cold isolate (`deno task bench:cold_start`).
 *
 * @module
 */
import type { AuthResult, JWTClaims, UserClaims } from "@supabase/server";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { isNumericDate } from "../../resilience/mod.ts";
import type { KeySet } from "./jwks_source.ts";
import type { TokenFailure } from "./token_failure.ts";

/** The `aud` and `iss` a token must have; what is absent is not checked. */
export interface ExpectedClaims {
  /** Accepted `aud` values. */
  readonly audience?: string | string[];
  /** Accepted `iss` values. */
  readonly issuer?: string | string[];
}

/** Returns whether a configured value is present but empty, such as `[]`: it would accept nothing. */
export function isEmpty(expected: string | string[] | undefined): boolean {
  return Array.isArray(expected) ? expected.length === 0 || expected.includes("") : expected === "";
}

/** Returns the algorithm and key id that the header of a token names, or `undefined` if it cannot be decoded. */
export function headerOf(token: string): { readonly alg?: string; readonly kid?: string } | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** The failure of a token whose `exp` has passed. */
export const TOKEN_EXPIRED: TokenFailure = {
  reason: "the token has expired",
  hint: "Refresh the session on the client (supabase.auth.refreshSession()) and retry with the new access token. " +
    "If tokens appear to expire immediately, check the server clock for skew.",
};

/**
 * Returns why claims do not make their bearer a user, or `undefined` if they do: a non-empty `sub`, an `exp` in the
 * future by the wall clock, and one of `roles`. A legacy anon or service_role key is a valid token without `sub`;
 * without this check it would act as a user.
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
        'typically a legacy anon / service_role JWT \u2014 use auth mode "publishable" or "secret" for those.',
    };
  }
  if (!isNumericDate(exp)) {
    return {
      reason: 'it has no "exp" claim up to the year 9999, so it would never expire',
      hint: "Supabase Auth gives every access token an expiry, in seconds. Check which service minted the token.",
    };
  }
  if (exp * 1000 <= nowMs) return TOKEN_EXPIRED;
  if (typeof role !== "string" || !roles.includes(role)) {
    return {
      reason: 'its "role" claim is not one this endpoint accepts from users',
      hint: `Accepted: ${
        roles.map((name) => `"${name}"`).join(", ")
      }. Configure \`userRoles\` (POOL_USER_ROLES) to accept another one.`,
    };
  }
  return undefined;
}

/** The longest token of a user, in characters; the pools accept no longer one. */
export const MAX_TOKEN_LENGTH = 16_384;

/** The failure of a token that is too long. A user can cause it: `user_metadata` is theirs to write. */
export const TOKEN_TOO_LONG: TokenFailure = {
  reason: `it is longer than ${MAX_TOKEN_LENGTH} characters`,
  hint: "Store less in user_metadata and app_metadata: every access token carries both.",
};

/** The deepest nesting of claims. Encoding and cloning recurse, in the runtime and in what a handler calls. */
const MAX_CLAIMS_DEPTH = 64;

/** The failure of a token whose claims are nested too deeply. */
export const CLAIMS_TOO_DEEP: TokenFailure = {
  reason: `its claims are nested more than ${MAX_CLAIMS_DEPTH} levels deep`,
  hint: "Store flatter values in user_metadata and app_metadata.",
};

/** Returns whether claims are nested more than {@linkcode MAX_CLAIMS_DEPTH} levels deep. Not recursive. */
export function areTooDeep(claims: object): boolean {
  let level: object[] = [claims];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= MAX_CLAIMS_DEPTH) return true;
    level = level.flatMap((value) =>
      Object.values(value).filter((inner) => typeof inner === "object" && inner !== null)
    );
  }
  return false;
}

/** Returns the identity of a verified user's token, as `@supabase/server` returns it. */
export function toUserAuth(token: string, jwtClaims: JWTClaims): AuthResult {
  const { sub, role, email, app_metadata, user_metadata } = jwtClaims;
  // Absent claims are present and undefined there; a handler sees the same keys here.
  const userClaims = { id: sub, role, email, appMetadata: app_metadata, userMetadata: user_metadata } as UserClaims;
  return { authMode: "user", token, userClaims, jwtClaims, keyName: null };
}

type KeyResolver = ReturnType<typeof createLocalJWKSet>;

/** A resolver imports each key once. */
const resolvers = new WeakMap<KeySet, KeyResolver>();

function resolverOf(keys: KeySet): KeyResolver {
  const known = resolvers.get(keys);
  if (known) return known;
  const resolver = createLocalJWKSet(keys);
  resolvers.set(keys, resolver);
  return resolver;
}

/**
 * Verifies a user's token as `@supabase/server` does in auth mode `user`.
 *
 * @returns The user, or `undefined` if that package may reject the token: its error says why. That package also
 * verifies HS256 tokens of a key set: the resolver accepts public keys only.
 */
export async function verifyUserToken(
  token: string,
  keys: KeySet,
  expected: ExpectedClaims,
): Promise<AuthResult | undefined> {
  const { alg, kid } = headerOf(token) ?? {};
  if (!alg || !kid || isEmpty(expected.audience) || isEmpty(expected.issuer)) return undefined;
  try {
    const { payload } = await jwtVerify(token, resolverOf(keys), expected);
    return typeof payload.sub === "string" ? toUserAuth(token, payload as JWTClaims) : undefined;
  } catch {
    return undefined;
  }
}
