/**
 * The keys a project publishes, as they stand now.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { createRemoteJWKSet } from "jose";
import type { RequestWait } from "../request/deadline.ts";

/** A JSON Web Key Set (RFC 7517, section 5). */
export type KeySet = Exclude<SupabaseEnv["jwks"], URL | null>;

/** Keys, or why they could not be fetched. */
export type KeysOrFailure =
  | { readonly keys: KeySet; readonly failure?: undefined }
  | { readonly keys?: undefined; readonly failure: unknown };

/** The longest a fetched key set is used, in ms; then it is fetched again, whatever comes in. */
export const JWKS_MAX_AGE_MS = 600_000;
/** How long after a fetch no unknown key makes for another one, in ms. */
export const JWKS_COOLDOWN_MS = 30_000;

/**
 * A key set that is fetched from an address. It has its own clock: it grows old
 * however seldom a signature is checked, so that a withdrawn key is noticed
 * while every token that comes in is a remembered one.
 */
export class JwksSource {
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  #text = "";
  #keys: KeySet | undefined = undefined;

  constructor(address: URL) {
    this.#remote = createRemoteJWKSet(address, {
      cacheMaxAge: JWKS_MAX_AGE_MS,
      cooldownDuration: JWKS_COOLDOWN_MS,
    });
  }

  /**
   * The keys, where they are young enough to be used as they are. The same
   * object for as long as they are the same keys.
   */
  get fresh(): KeySet | undefined {
    return this.#remote.fresh ? this.#keys : undefined;
  }

  /**
   * The keys, fetched where they are too old, or hold no key of that `kid` and
   * were not fetched just now. Whoever asks while they are fetched shares that
   * fetch, which ends after 5 s; how long it is waited for is `patience`'s affair.
   *
   * @throws what `patience` throws.
   */
  async keysFor(kid: string | undefined, patience: RequestWait): Promise<KeysOrFailure> {
    const known = this.fresh;
    if (known && (this.#remote.coolingDown || known.keys.some((key) => key.kid === kid))) return { keys: known };
    const failure = await patience(this.#reload());
    // Keys that are young enough still serve; what this token lacks is for its verifier to say.
    const keys = this.fresh;
    return keys ? { keys } : { failure: failure?.error };
  }

  /** Fetches the keys, and takes them over whether or not anybody still waits for them. */
  async #reload(): Promise<{ readonly error: unknown } | undefined> {
    try {
      await this.#remote.reload();
    } catch (error) {
      return { error };
    }
    this.#adopt();
    return undefined;
  }

  #adopt(): void {
    const keys = this.#remote.jwks();
    const text = JSON.stringify(keys);
    if (text === this.#text) return;
    this.#text = text;
    this.#keys = keys as KeySet | undefined;
  }
}

const sources = new Map<string, JwksSource>();

/** The keys at `address`: fetched once for all handlers of this isolate, of which an app may have one to each route. */
export function keysAt(address: URL): JwksSource {
  const known = sources.get(address.href);
  if (known) return known;
  const source = new JwksSource(address);
  sources.set(address.href, source);
  return source;
}
