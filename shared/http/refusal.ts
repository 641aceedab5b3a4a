/**
 * Refused credentials, answered in the form of `@supabase/server`: its JSON,
 * its header, its status.
 *
 * @module
 */
import type { AuthError, ErrorResponseConfig, SupabaseEnv, SupabaseServerError } from "@supabase/server";
import type { AuthFailureContext, AuthModeWithKey, Credentials } from "@supabase/server";
import { createAdminClient } from "@supabase/server/core";
import { decodeProtectedHeader } from "jose";

/** The header that carries the code of a refusal. */
export const ERROR_CODE_HEADER = "x-supabase-server-error";

/** What errors of `@supabase/server` say of their origin. */
const SOURCE = "@supabase/server";

/** Whether it is an error of `@supabase/server`. Not by its class: that is where all of that package would be loaded. */
export function isServerError(error: unknown): error is SupabaseServerError {
  return error instanceof Error && Reflect.get(error, "source") === SOURCE;
}

/**
 * Throws what `@supabase/server` throws where an admin client is asked for and no secret key is configured.
 *
 * @throws {EnvError} `MISSING_DEFAULT_SECRET_KEY`.
 */
export function throwMissingSecretKey({ url, publishableKeys, jwks }: SupabaseEnv): never {
  createAdminClient({ env: { url, publishableKeys, secretKeys: {}, jwks } });
  throw new TypeError("@supabase/server made an admin client without a key");
}

/** Why a token was refused, and what its sender can do. Never holds a claim's value. */
export interface TokenFailure {
  /** Completes "The JWT in the Authorization header failed verification: …". */
  readonly reason: string;
  /** What to do about it. */
  readonly hint: string;
  /** What was thrown, where something was. */
  readonly cause?: unknown;
}

/** The longest name of an authentication scheme, in characters. No registered one has more than 15. */
const MAX_SCHEME_LENGTH = 20;

/**
 * `message` without what the request's `Authorization` header held.
 * `@supabase/server` quotes the header's first word as the scheme, and where
 * none was sent, or two headers were joined into one, that is a token.
 */
function withoutCredentials(message: string, request: Request): string {
  const words = (request.headers.get("Authorization") ?? "").split(" ");
  return words.filter(({ length }) => length > MAX_SCHEME_LENGTH)
    .reduce((rest, word) => rest.replaceAll(word, "[credential]"), message);
}

/** The answer to `request`, whose credentials are refused. */
export function refusal(error: AuthError, request: Request, errors: ErrorResponseConfig = {}): Response {
  const { code } = error;
  const message = withoutCredentials(error.message, request);
  return Response.json(errors.detailed === false ? { code, message } : { ...error.toJSON(), message }, {
    status: error.status,
    headers: { [ERROR_CODE_HEADER]: code },
  });
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
