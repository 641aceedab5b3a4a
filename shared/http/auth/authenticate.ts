/**
 * Authenticates requests: the auth modes of `@supabase/server`, and the rules for a user's token.
 *
 * @module
 */
import type { AuthError, AuthModeWithKey, AuthResult, SupabaseEnv } from "@supabase/server";
import { DEFAULT_SUPABASE_POOL_CONFIG } from "../../supabase/mod.ts";
import { JwksSource, type KeySet } from "./jwks_source.ts";
import { createSecretVerifier, type SecretVerifier } from "./shared_secret.ts";
import { invalidToken, jwksFetchFailed, type TokenFailure } from "./token_failure.ts";
import {
  areTooDeep,
  CLAIMS_TOO_DEEP,
  type ExpectedClaims,
  headerOf,
  isEmpty,
  MAX_TOKEN_LENGTH,
  TOKEN_TOO_LONG,
  userTokenFailure,
  verifyUserToken,
} from "./user_token.ts";
import { VerifiedTokenCache, type VerifiedWith } from "./verified_token_cache.ts";

/** Options for {@linkcode createAuthenticate}. */
export interface AuthenticateOptions {
  /** The modes to try, in order; the first match wins. */
  readonly auth: AuthModeWithKey | readonly AuthModeWithKey[];
  /** Accepted `aud` values of a user's token. Default: any. */
  readonly audience?: string | string[] | undefined;
  /** Accepted `iss` values of a user's token. Default: any. */
  readonly issuer?: string | string[] | undefined;
  /** The project's keys and JWKS. */
  readonly env: SupabaseEnv;
  /** The secret of HS256 tokens. Default: none; `@supabase/server` rejects them. */
  readonly jwtSecret?: string | undefined;
  /** The roles that a user's token may carry. Default: `authenticated`. */
  readonly roles?: readonly string[] | undefined;
  /** The time for which a verified token is cached, in ms, at most 60,000. Default: 0, not at all. */
  readonly rememberTokensMs?: number | undefined;
}

/** The caller's identity, or the reason why the request is rejected. */
export type AuthOutcome =
  | { readonly auth: AuthResult; readonly error: null }
  | { readonly auth: null; readonly error: AuthError };

/**
 * Waits for `work`, for as long as a request may. The work goes on when the wait
 * is rejected.
 */
export type RequestWait = <T>(work: Promise<T>) => Promise<T>;

/** Waits for as long as it takes. */
function waitForever<T>(work: Promise<T>): Promise<T> {
  return work;
}

/** Verifies the credentials of a request; synchronously if its token is cached. */
export interface Authenticate {
  /**
   * @param wait Waits for a fetch of keys. Default: for as long as it takes.
   * @throws what `wait` throws, and nothing else.
   */
  (request: Request, wait?: RequestWait): AuthOutcome | Promise<AuthOutcome>;
  /** Drops every cached token and the keys of earlier addresses, when memory is low. */
  clearCache(): void;
}

/** An outcome, and the keys or the secret that the token was verified with, if they are known. */
interface Verification {
  readonly outcome: AuthOutcome;
  readonly verifiedWith?: VerifiedWith | undefined;
}

let library: typeof import("@supabase/server/core") | undefined;

/** Returns the token of an `Authorization: Bearer` header, as `@supabase/server` reads it, or `null` without one. */
function tokenOf(request: Request): string | null {
  const header = request.headers.get("authorization");
  return header?.startsWith("Bearer ") ? header.slice("Bearer ".length) || null : null;
}

/**
 * Freezes `value` and everything in it, and returns it. Not recursive: the claims of a token hold what its user wrote,
 * nested as deep as a header is long.
 */
export function deepFreeze<T>(value: T): T {
  const rest: unknown[] = [value];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next !== "object" || next === null || Object.isFrozen(next)) continue;
    for (const inner of Object.values(Object.freeze(next))) {
      if (typeof inner === "object" && inner !== null) rest.push(inner);
    }
  }
  return value;
}

class Authenticator {
  readonly #env: SupabaseEnv;
  readonly #modes: AuthModeWithKey[];
  /** The position of mode `user`, or -1. The modes before it come first, for any token. */
  readonly #userMode: number;
  readonly #expected: ExpectedClaims;
  readonly #roles: readonly string[];
  readonly #cache: VerifiedTokenCache;
  readonly #secret: SecretVerifier | undefined;
  readonly #inlineKeys: KeySet | undefined;
  /** The published keys. Without a cache `@supabase/server` fetches them itself. */
  readonly #source: JwksSource | undefined;

  constructor(options: AuthenticateOptions) {
    const { auth, env, audience, issuer, jwtSecret, rememberTokensMs = 0 } = options;
    const { roles = DEFAULT_SUPABASE_POOL_CONFIG.userRoles } = options;
    this.#env = env;
    this.#modes = typeof auth === "string" ? [auth] : [...auth];
    this.#userMode = this.#modes.indexOf("user");
    this.#expected = {
      ...(audience === undefined ? {} : { audience }),
      ...(issuer === undefined ? {} : { issuer }),
    };
    this.#roles = roles;
    this.#cache = new VerifiedTokenCache(this.#userMode < 0 ? 0 : rememberTokensMs);
    this.#secret = jwtSecret === undefined ? undefined : createSecretVerifier(jwtSecret, env.jwks);
    if (env.jwks instanceof URL) this.#source = this.#cache.enabled ? JwksSource.at(env.jwks) : undefined;
    else this.#inlineKeys = env.jwks ?? undefined;
  }

  authenticate(request: Request, wait: RequestWait): AuthOutcome | Promise<AuthOutcome> {
    const token = tokenOf(request);
    if (token === null || this.#userMode < 0) return this.#askLibrary(request, this.#modes);
    if (token.length > MAX_TOKEN_LENGTH) return this.#rejectTooLong(request, token);
    const cached = this.#cache.enabled ? this.#cache.get(token, this.#isCurrent) : undefined;
    if (cached && this.#userMode === 0 && !this.#userFailure(cached)) return { auth: cached, error: null };
    return this.#verifyToken(request, token, cached, wait);
  }

  clearCache(): void {
    this.#cache.clear();
    JwksSource.forgetStale();
  }

  /** Returns whether keys or a secret are still those that tokens are verified with. */
  readonly #isCurrent = (verifiedWith: VerifiedWith): boolean =>
    verifiedWith === this.#secret || verifiedWith === (this.#source ? this.#source.fresh : this.#inlineKeys);

  /** Verifies a token, or takes it from the cache, and checks that it is a user's. */
  async #verifyToken(
    request: Request,
    token: string,
    cached: AuthResult | undefined,
    wait: RequestWait,
  ): Promise<AuthOutcome> {
    const { outcome, verifiedWith }: Verification = cached
      ? { outcome: await this.#earlierMatch(request) ?? { auth: cached, error: null } }
      : await this.#verifySignature(request, token, wait);
    const { auth } = outcome;
    if (auth?.authMode !== "user") return outcome;
    const failure = this.#userFailure(auth) ??
      (!cached && areTooDeep(auth.jwtClaims ?? {}) ? CLAIMS_TOO_DEEP : undefined);
    if (failure) return await this.#reject(request, token, failure);
    deepFreeze(auth);
    if (this.#cache.enabled && verifiedWith) {
      this.#cache.set(token, verifiedWith, auth, Number(auth.jwtClaims?.exp) * 1_000);
    }
    return outcome;
  }

  async #verifySignature(request: Request, token: string, wait: RequestWait): Promise<Verification> {
    if (this.#secret?.covers(token)) {
      return { outcome: await this.#verifyWithSecret(this.#secret, request, token), verifiedWith: this.#secret };
    }
    if (this.#source) return await this.#verifyWithSource(this.#source, request, token, wait);
    if (this.#inlineKeys) {
      return { outcome: await this.#verifyWithKeys(request, token, this.#inlineKeys), verifiedWith: this.#inlineKeys };
    }
    const outcome = this.#askLibrary(request, this.#modes);
    return { outcome: await (this.#env.jwks instanceof URL ? wait(outcome) : outcome) };
  }

  async #verifyWithSecret(verifier: SecretVerifier, request: Request, token: string): Promise<AuthOutcome> {
    const earlier = await this.#earlierMatch(request);
    if (earlier) return earlier;
    const { auth, failure } = await verifier.verify(token, this.#expected);
    return auth ? { auth, error: null } : await this.#reject(request, token, failure);
  }

  /** Verifies with the keys that the project publishes. */
  async #verifyWithSource(
    source: JwksSource,
    request: Request,
    token: string,
    wait: RequestWait,
  ): Promise<Verification> {
    const { alg, kid } = headerOf(token) ?? {};
    if (!alg || !kid || isEmpty(this.#expected.audience) || isEmpty(this.#expected.issuer)) {
      return { outcome: await this.#askLibrary(request, this.#modes) }; // rejected without a key
    }
    const { keys, failure } = await source.keysFor(kid, wait);
    if (keys) return { outcome: await this.#verifyWithKeys(request, token, keys), verifiedWith: keys };
    const earlier = await this.#earlierMatch(request);
    if (earlier) return { outcome: earlier };
    return { outcome: { auth: null, error: await jwksFetchFailed(this.#modes, request, failure) } };
  }

  /** Verifies with a key set. If `user` is the first mode, a good token needs no library. */
  async #verifyWithKeys(request: Request, token: string, keys: KeySet): Promise<AuthOutcome> {
    const auth = this.#userMode === 0 ? await verifyUserToken(token, keys, this.#expected) : undefined;
    return auth ? { auth, error: null } : await this.#askLibrary(request, this.#modes, keys);
  }

  /** Returns the outcome of the modes before `user`, if one of them matches. */
  async #earlierMatch(request: Request): Promise<AuthOutcome | undefined> {
    if (this.#userMode <= 0) return undefined;
    const earlier = await this.#askLibrary(request, this.#modes.slice(0, this.#userMode));
    return earlier.error === null ? earlier : undefined;
  }

  async #askLibrary(request: Request, auth: AuthModeWithKey[], keys?: KeySet): Promise<AuthOutcome> {
    // Loaded on demand: most requests carry a good token, which is verified without it.
    library ??= await import("@supabase/server/core");
    const { data, error } = await library.verifyAuth(request, {
      auth,
      env: keys ? { ...this.#env, jwks: keys } : this.#env,
      ...this.#expected,
    });
    return error === null ? { auth: data, error } : { auth: null, error };
  }

  #userFailure({ jwtClaims }: AuthResult): TokenFailure | undefined {
    return userTokenFailure(jwtClaims ?? {}, this.#roles, Date.now());
  }

  async #rejectTooLong(request: Request, token: string): Promise<AuthOutcome> {
    return await this.#earlierMatch(request) ?? await this.#reject(request, token, TOKEN_TOO_LONG);
  }

  async #reject(request: Request, token: string, failure: TokenFailure): Promise<AuthOutcome> {
    return { auth: null, error: await invalidToken(this.#modes, request, token, failure) };
  }
}

/**
 * Creates the check of credentials for one set of options. `@supabase/server` verifies everything it can; HS256 tokens
 * are verified against `jwtSecret`. A user's token must also pass {@linkcode userTokenFailure}, on every request,
 * cached or not. A user's claims are frozen: requests with the same token share them.
 */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const authenticator = new Authenticator(options);
  return Object.assign(
    (request: Request, wait: RequestWait = waitForever) => authenticator.authenticate(request, wait),
    { clearCache: () => authenticator.clearCache() },
  );
}
