/**
 * Who is calling: the auth modes of `@supabase/server`, and under them the
 * rules for a user's token.
 *
 * @module
 */
import { extractCredentials, verifyAuth } from "@supabase/server/core";
import type { AuthError, AuthModeWithKey, AuthResult, JWTClaims, SupabaseEnv } from "@supabase/server";
import { invalidToken } from "./refusal.ts";
import { createSecretVerifier, type ExpectedClaims } from "./shared_secret.ts";
import { DEFAULT_USER_ROLES, toUserClaims, userTokenFailure } from "./user_token.ts";

/** What a request's credentials are held against. */
export interface AuthenticateOptions extends ExpectedClaims {
  /** The modes to try, in order; the first match wins. */
  readonly auth: AuthModeWithKey | readonly AuthModeWithKey[];
  /** The project's keys and JWKS. */
  readonly env: SupabaseEnv;
  /** The secret of HS256 tokens. Without it, they are refused by `@supabase/server`. */
  readonly jwtSecret?: string | undefined;
  /** The roles a user's token may carry. Default: `authenticated`. */
  readonly roles?: readonly string[] | undefined;
  /** The wall clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** Who is calling, or why the request is refused. */
export type Verdict =
  | { readonly auth: AuthResult; readonly error: null }
  | { readonly auth: null; readonly error: AuthError };

/** Verifies the credentials of a request. Never throws. */
export type Authenticate = (request: Request) => Promise<Verdict>;

/**
 * Makes the check for one set of options. `@supabase/server` verifies
 * everything it can; HS256 tokens are verified against `jwtSecret`. Whoever
 * verified a user's token, it must then pass {@linkcode userTokenFailure}.
 */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { env, roles = DEFAULT_USER_ROLES, jwtSecret, now = Date.now } = options;
  const modes: AuthModeWithKey[] = typeof options.auth === "string" ? [options.auth] : [...options.auth];
  const { audience, issuer } = options;
  const expected = {
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  };
  const userMode = modes.indexOf("user");
  const secret = jwtSecret === undefined ? undefined : createSecretVerifier(jwtSecret, env.jwks);

  async function withLibrary(request: Request, auth: AuthModeWithKey[]): Promise<Verdict> {
    const { data, error } = await verifyAuth(request, { auth, env, ...expected });
    return error === null ? { auth: data, error } : { auth: null, error };
  }

  async function verify(request: Request, token: string | null): Promise<Verdict> {
    if (secret === undefined || userMode < 0 || token === null || !secret.covers(token)) {
      return await withLibrary(request, modes);
    }
    if (userMode > 0) {
      // The modes named before `user` come first, as they would for any token.
      const earlier = await withLibrary(request, modes.slice(0, userMode));
      if (earlier.error === null) return earlier;
    }
    const { claims, failure } = await secret.verify(token, expected);
    if (failure) return refuse(request, token, failure);
    const jwtClaims = claims as JWTClaims;
    return {
      auth: { authMode: "user", token, jwtClaims, userClaims: toUserClaims(jwtClaims), keyName: null },
      error: null,
    };
  }

  function refuse(request: Request, token: string, failure: Parameters<typeof invalidToken>[2]): Verdict {
    const { apikey } = extractCredentials(request);
    return { auth: null, error: invalidToken(modes, { token, apikey }, failure) };
  }

  return async (request) => {
    const { token } = extractCredentials(request);
    const verdict = await verify(request, token);
    if (verdict.auth === null || verdict.auth.authMode !== "user") return verdict;
    const failure = userTokenFailure(verdict.auth.jwtClaims ?? {}, roles, now());
    return failure ? refuse(request, verdict.auth.token ?? "", failure) : verdict;
  };
}
