/**
 * Tokens signed with the project's shared secret (HS256): those of older projects, which name no key and so cannot be
 * verified against a JWKS.
 *
 * @module
 */
import type { AuthResult, JWTClaims, SupabaseEnv } from "@supabase/server";
import { errors, jwtVerify } from "jose";
import type { TokenFailure } from "./token_failure.ts";
import { type ExpectedClaims, headerOf, isEmpty, TOKEN_EXPIRED, toUserAuth } from "./user_token.ts";

/** A verified user, or the reason why the token is rejected. */
export type SecretOutcome =
  | { readonly auth: AuthResult; readonly failure?: undefined }
  | { readonly auth?: undefined; readonly failure: TokenFailure };

/** Verifies tokens against one shared secret. */
export interface SecretVerifier {
  /**
   * Returns whether this verifier is the one for `token`: its algorithm is HS256, and no inline JWKS holds a symmetric
   * key of its `kid`. The header only selects the verifier; that accepts HS256 and this secret only, so no header can
   * have a public key used as a secret or a signature skipped.
   */
  covers(token: string): boolean;
  /** Verifies signature, `exp`, `nbf`, and `expected`. Never throws. */
  verify(token: string, expected: ExpectedClaims): Promise<SecretOutcome>;
}

const MALFORMED =
  "The Authorization header must carry a compact JWS \u2014 three base64url segments separated by dots. " +
  "Check the token was not truncated, URL-encoded, or wrapped in quotes.";

function failureOf(cause: unknown): TokenFailure {
  if (cause instanceof errors.JWTExpired) return { ...TOKEN_EXPIRED, cause };
  if (cause instanceof errors.JWSSignatureVerificationFailed) {
    return {
      reason: "the signature did not verify against the configured secret",
      hint: "The token was signed with another secret. Check that JWT_SECRET is the secret of the project that " +
        "issued it.",
      cause,
    };
  }
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return {
      reason: `its "${cause.claim}" claim is missing, malformed or not the configured one`,
      hint: 'Compare the "audience" and "issuer" options with what the token carries, and check the server clock.',
      cause,
    };
  }
  return { reason: "the token is malformed", hint: MALFORMED, cause };
}

function emptyOption(name: string): TokenFailure {
  return {
    reason: `the configured "${name}" option is empty`,
    hint: `Pass a non-empty string or array, or omit the option to skip ${name} validation.`,
  };
}

/** Creates the verifier of HS256 tokens signed with `secret`. */
export function createSecretVerifier(secret: string, jwks: SupabaseEnv["jwks"]): SecretVerifier {
  let key: Promise<CryptoKey> | undefined;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const importKey = () =>
    crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["verify"]);
  const symmetric = new Set(
    jwks === null || jwks instanceof URL ? [] : jwks.keys.filter(({ alg }) => alg === "HS256").map(({ kid }) => kid),
  );

  return {
    covers(token) {
      const { alg, kid } = headerOf(token) ?? {};
      return alg === "HS256" && (kid === undefined || !symmetric.has(kid));
    },

    async verify(token, expected) {
      if (isEmpty(expected.audience)) return { failure: emptyOption("audience") };
      if (isEmpty(expected.issuer)) return { failure: emptyOption("issuer") };
      try {
        const { payload } = await jwtVerify(token, await (key ??= importKey()), { ...expected, algorithms: ["HS256"] });
        return { auth: toUserAuth(token, payload as JWTClaims) };
      } catch (error) {
        return { failure: failureOf(error) };
      }
    },
  };
}
