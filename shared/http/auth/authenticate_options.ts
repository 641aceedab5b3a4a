/**
 * What a handler can be told of the credentials it takes.
 *
 * @module
 */
import type { AuthModeWithKey, SupabaseEnv } from "@supabase/server";
import type { ExpectedClaims } from "./shared_secret.ts";

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
  /** How long a verified token is remembered, in ms, 60,000 at most. Default: 0, not at all. */
  readonly rememberTokensMs?: number | undefined;
  /** The wall clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** The options' lists are the caller's own: what is checked is what was given when the handler was made. */
export function copyOptions(options: AuthenticateOptions): AuthenticateOptions {
  const { auth, audience, issuer } = options;
  return {
    ...options,
    auth: typeof auth === "string" ? auth : [...auth],
    audience: Array.isArray(audience) ? [...audience] : audience,
    issuer: Array.isArray(issuer) ? [...issuer] : issuer,
  };
}
