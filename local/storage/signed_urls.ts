/**
 * Signed URLs: a token that allows one download, or one upload, until it expires.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { invalidRequest } from "./errors.ts";

/** A token of a signed URL. */
export interface SignedUrl {
  /** The bucket and the name of the object, with a slash in between. */
  readonly url: string;
  /** The action that it allows. */
  readonly scope: "download" | "upload";
  /** The caller who asked for an upload. */
  readonly owner?: string | undefined;
  /** True if an upload may replace an object. */
  readonly upsert?: boolean | undefined;
}

/** Signs and verifies the tokens of URLs. */
export class SignedUrls {
  readonly #secret: Uint8Array;

  /** @param jwtSecret The secret of the project. The key is derived from it, so that no such token is a caller's. */
  constructor(jwtSecret: string) {
    this.#secret = new Uint8Array(createHmac("sha256", jwtSecret).update("signed URLs of storage").digest());
  }

  /** Returns a token. @param expiresInS The time for which it is valid, in s. */
  async sign(claims: SignedUrl, expiresInS: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256" }).setIssuedAt(now)
      .setExpirationTime(now + expiresInS).sign(this.#secret);
  }

  /**
   * Verifies a token for an object and an action.
   *
   * @throws {StorageError} `InvalidJWT` or `InvalidSignature`.
   */
  async verify(token: string, url: string, scope: SignedUrl["scope"]): Promise<SignedUrl> {
    let payload: Record<string, unknown>;
    try {
      ({ payload } = await jwtVerify(token, this.#secret, { algorithms: ["HS256"], requiredClaims: ["exp"] }));
    } catch (error) {
      throw invalidRequest(error instanceof errors.JOSEError ? error.message : "Invalid JWT", "InvalidJWT");
    }
    if (payload.scope !== scope) throw invalidRequest(`Token is not scoped for ${scope}`, "InvalidSignature");
    if (payload.url !== url) throw invalidRequest("Invalid signature", "InvalidSignature");
    const { owner, upsert } = payload;
    return { url, scope, owner: typeof owner === "string" ? owner : undefined, upsert: upsert === true };
  }
}
