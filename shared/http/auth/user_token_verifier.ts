/**
 * The signature of a user's token, checked against a key set.
 *
 * `@supabase/server` checks the same with the same functions of `jose`. To
 * import it is to load supabase-js with auth and realtime, which is half of the
 * first request of a user in a cold isolate (`deno task bench:cold_start`).
 *
 * @module
 */
import type { AuthResult, JWTClaims } from "@supabase/server";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import type { KeySet } from "./jwks_source.ts";
import { type ExpectedClaims, isEmpty } from "./shared_secret.ts";
import { toUserClaims } from "./user_token.ts";

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
 * @returns The user, or `undefined` where that package may reject the token: it
 * must be asked then, because its error says why. It must also be asked about
 * HS256 tokens: the resolver takes public keys only.
 */
export async function verifyUserToken(
  token: string,
  keys: KeySet,
  { audience, issuer }: ExpectedClaims,
): Promise<AuthResult | undefined> {
  if (isEmpty(audience) || isEmpty(issuer)) return undefined;
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    if (!alg || !kid) return undefined;
    const { payload } = await jwtVerify(token, resolverOf(keys), {
      ...(audience === undefined ? {} : { audience }),
      ...(issuer === undefined ? {} : { issuer }),
    });
    if (typeof payload.sub !== "string") return undefined;
    const jwtClaims = payload as JWTClaims;
    return { authMode: "user", token, userClaims: toUserClaims(jwtClaims), jwtClaims, keyName: null };
  } catch {
    return undefined;
  }
}
