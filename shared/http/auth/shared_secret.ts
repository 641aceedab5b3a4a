/**
 * Tokens signed with the project's shared secret (HS256): those of older
 * projects and of the local stack, which name no key and so cannot be checked
 * against a JWKS.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import type { TokenFailure } from "./invalid_token.ts";

/** Whom a token must be for and from; nothing is checked where nothing is given. */
export interface ExpectedClaims {
  /** Accepted `aud` values. */
  readonly audience?: string | string[] | undefined;
  /** Accepted `iss` values. */
  readonly issuer?: string | string[] | undefined;
}

/** A token's verified claims, or why there are none. */
export type SecretVerdict =
  | { readonly claims: JWTPayload; readonly failure?: undefined }
  | { readonly claims?: undefined; readonly failure: TokenFailure };

/** Checks tokens against one shared secret. */
export interface SecretVerifier {
  /**
   * Whether this verifier is the one for `token`: it says HS256, and no inline
   * JWKS holds a symmetric key of its `kid`. The header decides only who
   * checks; the check itself takes HS256 and this secret and nothing else, so
   * no header can have a public key used as a secret or a signature skipped.
   */
  covers(token: string): boolean;
  /** Verifies signature, `exp`, `nbf`, and `expected`. Never throws. */
  verify(token: string, expected: ExpectedClaims): Promise<SecretVerdict>;
}

const MALFORMED = "The Authorization header must carry a compact JWS — three base64url segments separated by dots. " +
  "Check the token was not truncated, URL-encoded, or wrapped in quotes.";

/** Whether a configured value is there but says nothing, such as `[]`. */
export function isEmpty(expected: string | string[] | undefined): boolean {
  return Array.isArray(expected) ? expected.length === 0 || expected.includes("") : expected === "";
}

function describe(error: unknown): TokenFailure {
  if (error instanceof errors.JWTExpired) {
    return {
      reason: "the token has expired",
      hint: "Refresh the session on the client (supabase.auth.refreshSession()) and retry with the new access token. " +
        "If tokens appear to expire immediately, check the server clock for skew.",
      cause: error,
    };
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return {
      reason: "the signature did not verify against the configured secret",
      hint: "The token was signed with another secret. Check that JWT_SECRET is the secret of the project that " +
        "issued it.",
      cause: error,
    };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return {
      reason: `its "${error.claim}" claim is missing, malformed or not the configured one`,
      hint: 'Compare the "audience" and "issuer" options with what the token carries, and check the server clock.',
      cause: error,
    };
  }
  return { reason: "the token is malformed", hint: MALFORMED, cause: error };
}

/** Makes the verifier of HS256 tokens signed with `secret`. */
export function createSecretVerifier(secret: string, jwks: SupabaseEnv["jwks"]): SecretVerifier {
  let key: Promise<CryptoKey> | undefined;
  const importKey = () =>
    crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
      "verify",
    ]);
  const symmetric = new Set(
    jwks === null || jwks instanceof URL ? [] : jwks.keys.filter(({ alg }) => alg === "HS256").map(({ kid }) => kid),
  );

  return {
    covers(token: string): boolean {
      try {
        const { alg, kid } = decodeProtectedHeader(token);
        return alg === "HS256" && (kid === undefined || !symmetric.has(kid));
      } catch {
        return false;
      }
    },

    async verify(token: string, { audience, issuer }: ExpectedClaims): Promise<SecretVerdict> {
      for (const [name, expected] of [["audience", audience], ["issuer", issuer]] as const) {
        if (!isEmpty(expected)) continue;
        return {
          failure: {
            reason: `the configured "${name}" option is empty`,
            hint: `Pass a non-empty string or array, or omit the option to skip ${name} validation.`,
          },
        };
      }
      try {
        const { payload } = await jwtVerify(token, await (key ??= importKey()), {
          algorithms: ["HS256"],
          ...(audience === undefined ? {} : { audience }),
          ...(issuer === undefined ? {} : { issuer }),
        });
        return { claims: payload };
      } catch (error) {
        return { failure: describe(error) };
      }
    },
  };
}
