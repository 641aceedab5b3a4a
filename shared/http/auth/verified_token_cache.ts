/**
 * Tokens that were verified a moment ago.
 *
 * @module
 */
import type { AuthResult } from "@supabase/server";

/** The maximum time for which a verified token is cached, in ms, and the default of handlers. */
export const MAX_REMEMBER_TOKENS_MS = 60_000;
/** Maximum number of cached tokens; the least recently used one is evicted. */
export const MAX_CACHED_TOKENS = 1_000;
/** Maximum length of a cached token, in characters, so that the cache is bounded in bytes. A longer one is verified each time. */
export const MAX_CACHED_LENGTH = 8_192;

/** The key set or secret that a token was verified with. Compared by identity. */
export type VerifiedWith = object;

interface CachedToken {
  readonly auth: AuthResult;
  readonly verifiedWith: VerifiedWith;
  readonly fromMs: number;
  readonly untilMs: number;
  /** The time of use by which tokens are ordered. */
  usedMs: number;
}

/** Uses closer together than this, in ms, count as one: reordering costs more than reading. */
const USE_GRAIN_MS = 1_000;

/**
 * The identities of verified tokens, by the whole token. Verifying a signature takes longer than the rest of a request,
 * and the same token comes again and again.
 *
 * A cache belongs to one handler, so that issuer, audience and roles are the same for all of its tokens. It holds only
 * verified tokens: a rejected one is verified each time.
 */
export class VerifiedTokenCache {
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  /** The least recently used first, to a second. */
  readonly #tokens = new Map<string, CachedToken>();

  /**
   * @param maxAgeMs The time for which a token is cached, in ms: at most {@linkcode MAX_REMEMBER_TOKENS_MS}; 0 caches none.
   * @param now The wall clock, in ms since the epoch, as `exp` of a token means it. Default: `Date.now`.
   */
  constructor(maxAgeMs: number, now: () => number = Date.now) {
    this.#maxAgeMs = Math.min(maxAgeMs, MAX_REMEMBER_TOKENS_MS);
    this.#now = now;
  }

  /** True if it caches anything at all. */
  get enabled(): boolean {
    return this.#maxAgeMs > 0;
  }

  /** The number of cached tokens. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * Returns the identity of a cached `token`, if neither its time here nor its own has passed. A token is dropped when
   * the wall clock is before the moment of its verification: its age is unknown then.
   *
   * @param isCurrent Returns whether tokens are still verified with the same keys or secret.
   */
  get(token: string, isCurrent: (verifiedWith: VerifiedWith) => boolean): AuthResult | undefined {
    const cached = this.#tokens.get(token);
    if (cached === undefined) return undefined;
    const nowMs = this.#now();
    if (!isCurrent(cached.verifiedWith) || nowMs >= cached.untilMs || nowMs < cached.fromMs) {
      this.#tokens.delete(token);
      return undefined;
    }
    if (nowMs - cached.usedMs >= USE_GRAIN_MS) {
      cached.usedMs = nowMs;
      this.#tokens.delete(token);
      this.#tokens.set(token, cached);
    }
    return cached.auth;
  }

  /** Caches the identity of a verified `token`, at most until `expMs` (by the wall clock). */
  set(token: string, verifiedWith: VerifiedWith, auth: AuthResult, expMs: number): void {
    const fromMs = this.#now();
    const untilMs = Math.min(expMs, fromMs + this.#maxAgeMs);
    if (!(untilMs > fromMs) || token.length > MAX_CACHED_LENGTH) return;
    this.#tokens.delete(token);
    if (this.#tokens.size >= MAX_CACHED_TOKENS) {
      const oldest = this.#tokens.keys().next();
      if (!oldest.done) this.#tokens.delete(oldest.value);
    }
    this.#tokens.set(token, { auth, verifiedWith, fromMs, untilMs, usedMs: fromMs });
  }

  /** Drops every token. */
  clear(): void {
    this.#tokens.clear();
  }
}
