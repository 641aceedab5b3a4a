/**
 * Rejections of a bearer token, in the form of `@supabase/server`.
 *
 * @module
 */
import type { AuthError, AuthFailureContext, AuthModeWithKey } from "@supabase/server";
import { messageOf } from "../../resilience/mod.ts";
import { headerOf } from "./user_token.ts";

/** The reason why a token is rejected, and the way to fix it. It never holds a claim's value. */
export interface TokenFailure {
  /** Completes "The JWT in the Authorization header failed verification: ...". */
  readonly reason: string;
  /** The way to fix it. */
  readonly hint: string;
  /** The error behind it, if there is one. */
  readonly cause?: unknown;
}

/** Describes the credentials of a request, without their values. */
function receivedBy(request: Request): AuthFailureContext["received"] {
  const apikey = request.headers.get("apikey");
  const formats = [["sb_publishable_", "publishable"], ["sb_secret_", "secret"], ["eyJ", "legacy-jwt"]] as const;
  const format = formats.find(([prefix]) => apikey?.startsWith(prefix))?.[1] ?? "unrecognized";
  return { authorization: "bearer", apikey: apikey ? format : "absent" };
}

/** Creates the `INVALID_JWT` error of a bearer token. `@supabase/server` is loaded on demand. */
export async function invalidToken(
  modes: readonly AuthModeWithKey[],
  request: Request,
  token: string,
  failure: TokenFailure,
): Promise<AuthError> {
  const { Errors, InvalidJwtError } = await import("@supabase/server");
  const header = headerOf(token);
  return Errors[InvalidJwtError]({
    authModes: modes,
    received: receivedBy(request),
    jwt: header ? { alg: header.alg ?? null, kid: header.kid ?? null } : { decodable: false },
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
