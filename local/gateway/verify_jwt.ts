/**
 * The check of `verify_jwt`, before a request reaches its function: the statuses
 * and texts are those of the hosted platform.
 *
 * @module
 */
import { createLocalJWKSet, decodeProtectedHeader, type JWK, jwtVerify } from "jose";

/** The keys that tokens are verified with. */
export interface JwtKeys {
  /** The publishable key, which `apikey` may hold in place of a token. */
  readonly publishableKey: string;
  /** The secret key, which `apikey` may hold in place of a token. */
  readonly secretKey: string;
  /** The secret of HS256 tokens. */
  readonly jwtSecret: string;
  /** The public keys of other tokens. */
  readonly jwks: { readonly keys: readonly JWK[] };
}

function unauthorized(code: string, message: string): Response {
  return Response.json({ code, message }, {
    status: 401,
    headers: { "sb-error-code": code, "access-control-allow-origin": "*" },
  });
}

/**
 * Returns a function that checks the token of a request: it returns the response to one without a valid token, and
 * `undefined` for the others. A preflight needs none.
 */
export function createJwtCheck(keys: JwtKeys): (request: Request) => Promise<Response | undefined> {
  const jwks = createLocalJWKSet({ keys: [...keys.jwks.keys] });
  const secret = new TextEncoder().encode(keys.jwtSecret);
  return async (request) => {
    if (request.method === "OPTIONS") return undefined;
    const apikey = request.headers.get("apikey");
    const header = request.headers.get("authorization");
    // Clients with an API key of the new kind send it as the token as well.
    const isKey = apikey === keys.publishableKey || apikey === keys.secretKey;
    if (isKey && (header === null || header === `Bearer ${apikey}`)) return undefined;
    if (header === null) return unauthorized("UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header");
    const [scheme, token = ""] = header.split(" ");
    if (scheme !== "Bearer") {
      return unauthorized("UNAUTHORIZED_INVALID_JWT_FORMAT", "Auth header is not 'Bearer {token}'");
    }
    let algorithm: string | undefined;
    try {
      algorithm = decodeProtectedHeader(token).alg;
    } catch {
      return unauthorized("UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT");
    }
    switch (algorithm) {
      case "HS256":
        return await jwtVerify(token, secret).then(
          () => undefined,
          () => unauthorized("UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"),
        );
      case "ES256":
      case "RS256":
        return await jwtVerify(token, jwks).then(
          () => undefined,
          () => unauthorized("UNAUTHORIZED_ASYMMETRIC_JWT", "Invalid JWT"),
        );
    }
    return unauthorized("UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", `Unsupported JWT algorithm ${algorithm}`);
  };
}
