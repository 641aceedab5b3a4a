/**
 * CredentialResolver, and the credentials that leases send for them.
 *
 * @module
 */
import { isNumericDate, servesUntilMs } from "../resilience/mod.ts";
import { IdentityError } from "./errors.ts";
import { decodeClaims, isBearerKey, kindOfKey, type PoolKind } from "./keys.ts";

/**
 * The party that a lease acts for.
 *
 * - `"anonymous"`: a caller without a user, with the rights of the publishable key.
 * - `{ token }`: a user, by the access token of a request. Its signature must
 *   have been verified, as `withPooledSupabase` does; the Data API verifies it again.
 * - `"admin"`: the project itself, which bypasses row-level security; on admin pools only.
 */
export type Identity = "anonymous" | "admin" | { readonly token: string };

/** The credentials that a lease sends with each call. */
export interface Credentials {
  /** The `apikey` header. */
  readonly apikey: string;
  /** The `authorization` header; `undefined` for none. */
  readonly authorization: string | undefined;
  /** The user's token; `undefined` for other identities. */
  readonly token: string | undefined;
  /** True if the holder may send an `authorization` header of its own. */
  readonly mayOverride: boolean;
}

/** A JWT in its compact form (RFC 7515, section 7.1): three parts of base64url. Anything else does not belong in a header. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The maximum length of a token, in characters; servers hardly accept more in one header. */
const MAX_TOKEN_LENGTH = 16_384;

/**
 * The maximum number of users that are remembered: about as many as one isolate
 * serves at a time. Reading a token again costs a few microseconds, and each
 * remembered one takes a few kilobytes.
 */
const MAX_REMEMBERED = 256;

/** A user, as a token describes one. */
interface User {
  readonly credentials: Credentials;
  /** The expiry of the token, in seconds since the epoch. */
  readonly exp: number;
  /** The user's id, from the token's `sub`. */
  readonly subject: string;
}

/** Resolves identities to the credentials that the leases of one pool send. */
export class CredentialResolver {
  readonly #kind: PoolKind;
  readonly #roles: readonly string[];
  readonly #own: Credentials;
  readonly #wallClock: () => number;
  /** The user of each token, by the whole token: the oldest entry first. */
  readonly #users = new Map<string, User>();

  /**
   * For a pool of `kind` with `key`, whose users carry one of `roles`.
   *
   * @param wallClock The wall clock, in ms since the epoch. Default: `Date.now`.
   */
  constructor(kind: PoolKind, key: string, roles: readonly string[], wallClock: () => number = Date.now) {
    this.#wallClock = wallClock;
    this.#kind = kind;
    this.#roles = roles;
    this.#own = this.#ownWith(key);
  }

  /**
   * Returns what a lease for `identity` sends. Without an identity it is the
   * pool's own: anonymous, or admin on an admin pool.
   *
   * A user's token must name its user (`sub`), must not have expired (`exp`, by
   * the wall clock) and must carry one of the roles: a legacy anon or
   * service_role key is a valid token as well, but not a user's.
   *
   * @param apiKey Another API key of the pool's kind, sent in place of the pool's own.
   * @param admitted Whether the token was valid when its request began: then it serves the request until 30 s after its
   * `exp`, as the Data API accepts it. Default: `false`.
   * @throws {IdentityError} when the pool cannot act for that identity, or the key is of the other kind.
   */
  credentialsFor(identity: Identity | undefined, apiKey?: string, admitted = false): Credentials {
    const own = apiKey === undefined || apiKey === this.#own.apikey ? this.#own : this.#ownWith(apiKey);
    if (this.#kind === "admin") {
      if (identity === undefined || identity === "admin") return own;
      throw new IdentityError("Cannot act for a user: this is an admin pool. Acquire from the user pool");
    }
    if (identity === undefined || identity === "anonymous") return own;
    if (identity === "admin") {
      throw new IdentityError("Cannot act as admin: this is a user pool. Acquire from a pool with the secret key");
    }
    const token: unknown = identity === null ? undefined : identity.token;
    if (typeof token !== "string" || token === "") {
      throw new IdentityError('An identity must be "anonymous", "admin" or { token }, with a user\'s access token');
    }
    const { credentials, exp } = this.#users.get(token) ?? this.#remember(token);
    const nowMs = this.#wallClock();
    if (nowMs >= servesUntilMs(exp, admitted, nowMs)) {
      throw new IdentityError("The token has expired: refresh the session", "expired");
    }
    return own === this.#own ? credentials : Object.freeze({ ...credentials, apikey: own.apikey });
  }

  /**
   * Returns the key of the flow of `identity`, which has credentials: a user's own, whichever of the user's tokens it
   * is, or one for all that is anonymous or admin. The key contains no credential.
   */
  flowOf(identity: Identity | undefined): string {
    if (this.#kind === "admin") return "admin";
    if (typeof identity !== "object") return "anonymous";
    const { token } = identity;
    return `user ${(this.#users.get(token) ?? this.#remember(token)).subject}`;
  }

  /** Returns whether a lease for `identity` is possible now. */
  accepts(identity: Identity): boolean {
    try {
      this.credentialsFor(identity);
      return true;
    } catch {
      return false; // each lease says why
    }
  }

  #ownWith(key: string): Credentials {
    if (kindOfKey(key) !== this.#kind) {
      throw new IdentityError(
        this.#kind === "admin"
          ? "Cannot act as admin: an admin pool requires a secret key"
          : "Cannot act for users: a user pool cannot use a secret key",
      );
    }
    const authorization = isBearerKey(key) ? `Bearer ${key}` : undefined;
    return Object.freeze({ apikey: key, authorization, token: undefined, mayOverride: this.#kind === "admin" });
  }

  #remember(token: string): User {
    const { exp, subject } = readUser(token, this.#roles);
    const { apikey } = this.#own;
    const credentials = Object.freeze({ apikey, authorization: `Bearer ${token}`, token, mayOverride: false });
    if (this.#users.size >= MAX_REMEMBERED) {
      for (const oldest of this.#users.keys()) {
        this.#users.delete(oldest);
        break;
      }
    }
    const user = { credentials, exp, subject };
    this.#users.set(token, user);
    return user;
  }
}

/** Reads a user's token; throws an `IdentityError` if it is not one. */
function readUser(token: string, roles: readonly string[]): Pick<User, "exp" | "subject"> {
  const claims = token.length <= MAX_TOKEN_LENGTH && COMPACT.test(token) ? decodeClaims(token) : undefined;
  if (!claims) throw new IdentityError("The token is not a JWT: pass the access token of a signed-in user");
  if (typeof claims.sub !== "string" || claims.sub === "") {
    throw new IdentityError("The token has no sub claim: an API key is not a user token");
  }
  if (typeof claims.role !== "string" || !roles.includes(claims.role)) {
    throw new IdentityError(`The token's role is not one of userRoles (${roles.join(", ")})`, "role");
  }
  if (!isNumericDate(claims.exp)) {
    throw new IdentityError(
      "The token has no exp claim up to the year 9999, in seconds: pass the access token of a signed-in user",
    );
  }
  return { exp: claims.exp, subject: claims.sub };
}
