/**
 * Rejections of a bearer token, in the form of `@supabase/server`.
 *
 * @module
 */
import type { AuthError, AuthFailureContext, AuthModeWithKey } from "@supabase/server";
import { decodeProtectedHeader } from "jose";
import { messageOf } from "../../resilience/mod.ts";

/** The reason why a token is rejected, and the way to fix it. It never holds a claim's value. */
export interface TokenFailure {
  /** Completes "The JWT in the Authorization header failed verification: …". */
  readonly reason: string;
  /** The way to fix it. */
  readonly hint: string;
  /** The error behind it, if there is one. */
  readonly cause?: unknown;
}

/** The failure of a token whose `exp` has passed. */
export const TOKEN_EXPIRED: TokenFailure = {
  reason: "the token has expired",
  hint: "Refresh the session on the client (supabase.auth.refreshSession()) and retry with the new access token. " +
    "If tokens appear to expire immediately, check the server clock for skew.",
};

/** Describes the credentials of a request, without their values. */
function receivedBy(request: Request): AuthFailureContext["received"] {
  const apikey = request.headers.get("apikey");
  const formats = [["sb_publishable_", "publishable"], ["sb_secret_", "secret"], ["eyJ", "legacy-jwt"]] as const;
  const format = formats.find(([prefix]) => apikey?.startsWith(prefix))?.[1] ?? "unrecognized";
  return { authorization: "bearer", apikey: apikey ? format : "absent" };
}

/** Returns `alg` and `kid` of a token, as a rejection reports them. */
function headerOf(token: string): Record<string, unknown> {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return { alg: alg ?? null, kid: kid ?? null };
  } catch {
    return { decodable: false };
  }
}

/** Creates the `INVALID_JWT` error of a bearer token. `@supabase/server` is loaded on demand. */
export async function invalidToken(
  modes: readonly AuthModeWithKey[],
  request: Request,
  token: string,
  failure: TokenFailure,
): Promise<AuthError> {
  const { Errors, InvalidJwtError } = await import("@supabase/server");
  return Errors[InvalidJwtError]({
    authModes: modes,
    received: receivedBy(request),
    jwt: headerOf(token),
    ...failure,
  });
}

/** Creates the `JWKS_FETCH_FAILED` error: the keys that a token is verified with could not be fetched. */
export async function jwksFetchFailed(
  modes: readonly AuthModeWithKey[],
  request: Request,
  cause: unknown,
): Promise<AuthError> {
  const { Errors, JwksFetchFailedError } = await import("@supabase/server");
  return Errors[JwksFetchFailedError]({
    authModes: modes,
    received: receivedBy(request),
    reason: messageOf(cause),
    cause,
  });
}
