/**
 * Access tokens: signed with ES256, as those of hosted projects. Tokens of the shared secret (HS256) are verified too:
 * the legacy keys are such tokens, and the Data API accepts no others.
 *
 * @module
 */
import { decodeProtectedHeader, errors, importJWK, type JWK, jwtVerify, SignJWT } from "jose";

/** The keys of tokens. */
export interface TokenKeys {
  /** The private key of ES256: a JWK with a `kid`, as JSON. */
  readonly signingKey: string;
  /** The secret of HS256. */
  readonly jwtSecret: string;
}

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>;

/** The result of a verification. */
export type Verification =
  /** The signature is valid, and so are `exp` and `nbf`. */
  | { readonly state: "valid"; readonly claims: Claims }
  /** The signature is valid, but the token has expired or is not valid yet. */
  | { readonly state: "expired"; readonly claims: Claims }
  /** It is not a token of this project. */
  | { readonly state: "invalid" };

const CACHED_TOKENS = 500;

/** Public keys, as a JWKS. */
export interface Jwks {
  /** The keys. */
  readonly keys: readonly JWK[];
}

/** Returns the public key of a private one, as `/auth/v1/.well-known/jwks.json` publishes it. */
export function jwksOf(signingKey: string): Jwks {
  const { kty = "EC", crv = "P-256", x = "", y = "", kid = "" }: JWK = JSON.parse(signingKey);
  return { keys: [{ kty, crv, x, y, kid, alg: "ES256", use: "sig", key_ops: ["verify"], ext: true }] };
}

/** Signs and verifies the tokens of a project. */
export class Tokens {
  /** The public keys. */
  readonly jwks: Jwks;
  readonly #kid: string;
  readonly #secret: Uint8Array;
  readonly #privateKey: ReturnType<typeof importJWK>;
  readonly #publicKey: ReturnType<typeof importJWK>;
  readonly #shared = new Map<string, string>();

  /** @param keys The keys of the project. */
  constructor(keys: TokenKeys) {
    const key: JWK & { kid: string } = JSON.parse(keys.signingKey);
    this.jwks = jwksOf(keys.signingKey);
    this.#kid = key.kid;
    this.#secret = new TextEncoder().encode(keys.jwtSecret);
    this.#privateKey = importJWK(key, "ES256");
    const { kty = "EC", crv = "", x = "", y = "" } = key;
    this.#publicKey = importJWK({ kty, crv, x, y }, "ES256");
  }

  /** Returns a token with `claims`. */
  async sign(claims: Claims): Promise<string> {
    return await new SignJWT({ ...claims }).setProtectedHeader({ alg: "ES256", kid: this.#kid, typ: "JWT" })
      .sign(await this.#privateKey);
  }

  /**
   * Verifies a token. The header only selects the key, and each key has one algorithm: ES256 with the `kid` of this
   * project, or HS256 without a `kid`.
   */
  async verify(token: string): Promise<Verification> {
    try {
      const { alg, kid } = decodeProtectedHeader(token);
      if (alg === "ES256" && kid === this.#kid) {
        return {
          state: "valid",
          claims: (await jwtVerify(token, await this.#publicKey, { algorithms: [alg] })).payload,
        };
      }
      if (alg === "HS256" && kid === undefined) {
        return { state: "valid", claims: (await jwtVerify(token, this.#secret, { algorithms: [alg] })).payload };
      }
    } catch (error) {
      // The signature comes first: only tokens of this project reach the check of `exp` and `nbf`.
      if (error instanceof errors.JWTExpired) return { state: "expired", claims: error.payload };
      if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf") {
        return { state: "expired", claims: error.payload };
      }
    }
    return { state: "invalid" };
  }

  /**
   * Returns a token with the same claims that is signed with the shared secret; `undefined` if `token` is not a token
   * of this project. The claims of an expired token stay expired.
   */
  async toShared(token: string): Promise<string | undefined> {
    const cached = this.#shared.get(token);
    if (cached !== undefined) return cached;
    const verification = await this.verify(token);
    if (verification.state === "invalid") return undefined;
    const text = await new SignJWT({ ...verification.claims }).setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .sign(this.#secret);
    if (this.#shared.size >= CACHED_TOKENS) {
      for (const oldest of this.#shared.keys()) {
        this.#shared.delete(oldest);
        break;
      }
    }
    this.#shared.set(token, text);
    return text;
  }
}
