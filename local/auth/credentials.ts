/**
 * The credentials of a request to the Data API, Auth or Storage: an API key and a token.
 *
 * @module
 */
import { type LegacyKeys, legacyKeys } from "../keys.ts";
import type { Claims, TokenKeys, Tokens } from "./tokens.ts";

/** The keys that requests are checked against. */
export interface ApiKeys extends TokenKeys {
  /** The key for browsers. */
  readonly publishableKey: string;
  /** The key that bypasses row-level security. */
  readonly secretKey: string;
}

/** The kind of an API key. */
export type KeyKind = "publishable" | "secret";

/** The caller of a request. */
export type Caller =
  /** The role of an API key. */
  | { readonly from: "key"; readonly kind: KeyKind; readonly claims: Claims }
  /** The subject of a valid token. */
  | { readonly from: "token"; readonly token: string; readonly claims: Claims }
  /** No credentials. */
  | { readonly from: "nothing" }
  /** A token that was not accepted. */
  | { readonly from: "rejected"; readonly reason: "expired" | "invalid" };

/** Returns the token of an `Authorization: Bearer` header. */
export function bearerOf(headers: Headers): string | undefined {
  return /^bearer +(\S+)$/i.exec(headers.get("authorization")?.trim() ?? "")?.[1];
}

/** Reads the credentials of requests. */
export class Credentials {
  readonly #keys: ApiKeys;
  readonly #legacy: LegacyKeys;
  readonly #tokens: Tokens;

  /**
   * @param keys The keys of the project.
   * @param tokens The tokens of the project.
   */
  constructor(keys: ApiKeys, tokens: Tokens) {
    this.#keys = keys;
    this.#legacy = legacyKeys(keys.jwtSecret);
    this.#tokens = tokens;
  }

  /** Returns the kind of an API key, new or legacy; `undefined` if it is not a key of the project. */
  kindOf(key: string | null | undefined): KeyKind | undefined {
    if (key === this.#keys.publishableKey || key === this.#legacy.anonKey) return "publishable";
    if (key === this.#keys.secretKey || key === this.#legacy.serviceRoleKey) return "secret";
    return undefined;
  }

  /** Returns the API key of a kind. */
  keyOf(kind: KeyKind): string {
    return kind === "secret" ? this.#keys.secretKey : this.#keys.publishableKey;
  }

  /** Returns the API key that a request presents, if any. */
  keyIn(request: Request): string | null {
    return request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey");
  }

  /**
   * Returns the caller of a request. A token comes before the API key, unless it is an API key itself, which clients
   * without a session send as both.
   */
  async callerOf(request: Request): Promise<Caller> {
    const bearer = bearerOf(request.headers);
    const kind = this.kindOf(this.keyIn(request)) ?? this.kindOf(bearer);
    const isKey = bearer === undefined || bearer.startsWith("sb_") || bearer === this.keyIn(request);
    if (isKey) {
      if (kind === undefined) {
        return bearer === undefined ? { from: "nothing" } : { from: "rejected", reason: "invalid" };
      }
      return { from: "key", kind, claims: { role: kind === "secret" ? "service_role" : "anon" } };
    }
    const verification = await this.#tokens.verify(bearer);
    return verification.state === "valid"
      ? { from: "token", token: bearer, claims: verification.claims }
      : { from: "rejected", reason: verification.state };
  }
}
