/**
 * The refusals of a bearer token, as `@supabase/server` makes them.
 *
 * @module
 */
import type { AuthError, AuthFailureContext, AuthModeWithKey, Credentials } from "@supabase/server";
import { decodeProtectedHeader } from "jose";
import { messageOf } from "../../resilience/mod.ts";

/** Why a token was refused, and what its sender can do. Never holds a claim's value. */
export interface TokenFailure {
  /** Completes "The JWT in the Authorization header failed verification: …". */
  readonly reason: string;
  /** What to do about it. */
  readonly hint: string;
  /** What was thrown, where something was. */
  readonly cause?: unknown;
}

function apiKeyFormat(apikey: string | null): AuthFailureContext["received"]["apikey"] {
  if (!apikey) return "absent";
  if (apikey.startsWith("sb_publishable_")) return "publishable";
  if (apikey.startsWith("sb_secret_")) return "secret";
  return apikey.startsWith("eyJ") ? "legacy-jwt" : "unrecognized";
}

/** `alg` and `kid` of a token, as a refusal reports them. */
function headerOf(token: string): Record<string, unknown> {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return { alg: alg ?? null, kid: kid ?? null };
  } catch {
    return { decodable: false };
  }
}

/** The `INVALID_JWT` refusal of a bearer token. Its maker is loaded when it is needed: most isolates never refuse one. */
export async function invalidToken(
  modes: readonly AuthModeWithKey[],
  credentials: Credentials & { readonly token: string },
  failure: TokenFailure,
): Promise<AuthError> {
  const { Errors, InvalidJwtError } = await import("@supabase/server");
  return Errors[InvalidJwtError]({
    authModes: modes,
    received: { authorization: "bearer", apikey: apiKeyFormat(credentials.apikey) },
    jwt: headerOf(credentials.token),
    ...failure,
  });
}

/** The `JWKS_FETCH_FAILED` refusal: the keys a token is verified with could not be fetched. */
export async function jwksFetchFailed(
  modes: readonly AuthModeWithKey[],
  apikey: string | null,
  cause: unknown,
): Promise<AuthError> {
  const { Errors, JwksFetchFailedError } = await import("@supabase/server");
  return Errors[JwksFetchFailedError]({
    authModes: modes,
    received: { authorization: "bearer", apikey: apiKeyFormat(apikey) },
    reason: messageOf(cause),
    cause,
  });
}
