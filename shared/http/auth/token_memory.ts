/**
 * Tokens that were verified a moment ago.
 *
 * @module
 */
import type { AuthResult } from "@supabase/server";

/** The longest a verified token is remembered, in ms, and how long it is unless told otherwise. */
export const MAX_REMEMBER_TOKENS_MS = 60_000;
/** The most tokens remembered; the one unused for longest makes room. */
export const MAX_REMEMBERED_TOKENS = 1_000;
/** A longer token is verified each time, in characters: what is kept is bounded in bytes, too. */
export const MAX_REMEMBERED_LENGTH = 8_192;

/** What a token was verified with: the key set, the secret. Compared by identity. */
export type VerifiedWith = object;

/** Options of {@linkcode TokenMemory}. */
export interface TokenMemoryOptions {
  /** How long a token is remembered, in ms: at most {@linkcode MAX_REMEMBER_TOKENS_MS}; 0 remembers none. */
  readonly rememberMs: number;
  /** The wall clock, in ms since the epoch: a token's `exp` means no other. */
  readonly now: () => number;
}

interface Remembered {
  readonly auth: AuthResult;
  readonly verifiedWith: VerifiedWith;
  readonly fromMs: number;
  readonly untilMs: number;
  /** When it was last counted as used. */
  usedMs: number;
}

/** A token used again sooner than this is not counted as used anew, in ms: to count costs more than to recall. */
const USE_GRAIN_MS = 1_000;

/**
 * What verified tokens said, by the whole token. A signature takes longer to
 * check than all the rest of a request, and the same token comes again and again.
 *
 * It belongs to one handler, so that issuer, audience and roles are the same
 * for everything in it. Only what was verified goes in: a token that was
 * refused is checked again, each time.
 */
export class TokenMemory {
  readonly #rememberMs: number;
  readonly #now: () => number;
  /** The one unused for longest first, to a second. */
  readonly #tokens = new Map<string, Remembered>();

  constructor({ rememberMs, now }: TokenMemoryOptions) {
    this.#rememberMs = Math.min(rememberMs, MAX_REMEMBER_TOKENS_MS);
    this.#now = now;
  }

  /** Whether it remembers anything at all. */
  get on(): boolean {
    return this.#rememberMs > 0;
  }

  /** How many tokens are remembered. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * What `token` said, where neither its time here nor its own is over. Not
   * while the wall clock stands before the moment it was verified: then nobody
   * knows how long ago that was.
   *
   * @param isCurrent Whether what it was verified with is still what tokens are verified with.
   */
  recall(token: string, isCurrent: (verifiedWith: VerifiedWith) => boolean): AuthResult | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined) return undefined;
    const nowMs = this.#now();
    if (!isCurrent(known.verifiedWith) || nowMs >= known.untilMs || nowMs < known.fromMs) {
      this.#tokens.delete(token);
      return undefined;
    }
    if (nowMs - known.usedMs >= USE_GRAIN_MS) {
      known.usedMs = nowMs;
      this.#tokens.delete(token);
      this.#tokens.set(token, known);
    }
    return known.auth;
  }

  /** Remembers what a verified `token` said, until `expMs` (by the wall clock) at most. */
  remember(token: string, verifiedWith: VerifiedWith, auth: AuthResult, expMs: number): void {
    const fromMs = this.#now();
    const untilMs = Math.min(expMs, fromMs + this.#rememberMs);
    if (!(untilMs > fromMs) || token.length > MAX_REMEMBERED_LENGTH) return;
    this.#tokens.delete(token);
    if (this.#tokens.size >= MAX_REMEMBERED_TOKENS) {
      for (const oldest of this.#tokens.keys()) {
        this.#tokens.delete(oldest);
        break;
      }
    }
    this.#tokens.set(token, { auth, verifiedWith, fromMs, untilMs, usedMs: fromMs });
  }

  /** Forgets every token. */
  forget(): void {
    this.#tokens.clear();
  }
}
