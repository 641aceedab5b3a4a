/**
 * The keys that a project publishes.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { createRemoteJWKSet, customFetch } from "jose";
import type { RequestWait } from "./authenticate.ts";

/** A JSON Web Key Set (RFC 7517, section 5). */
export type KeySet = Exclude<SupabaseEnv["jwks"], URL | null>;

/** Keys, or why they could not be fetched. */
export type KeysOrFailure =
  | { readonly keys: KeySet; readonly failure?: undefined }
  | { readonly keys?: undefined; readonly failure: unknown };

/** The maximum age of a fetched key set, in ms; then it is fetched again, whatever tokens come. */
export const JWKS_MAX_AGE_MS = 600_000;
/** The time after a fetch in which an unknown key causes no other one, in ms. */
const JWKS_COOLDOWN_MS = 30_000;

/**
 * Fetches an address. `jose` rejects every status but 200 and leaves the body unread, which would keep its connection
 * until the garbage collector finds it: such a body is canceled here.
 */
async function fetchKeys(address: string, init: RequestInit): Promise<Response> {
  const response = await fetch(address, init);
  // A body that fails while it is canceled holds no connection either.
  if (response.status !== 200) await response.body?.cancel().catch(() => {});
  return response;
}

/**
 * A key set that is fetched from an address. It has its own clock: it ages even while no signature is verified, so that
 * a withdrawn key is noticed while every token that comes is a cached one.
 */
export class JwksSource {
  static readonly #sources = new Map<string, JwksSource>();

  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  #text = "";
  #keys: KeySet | undefined = undefined;
  /** The time of the latest fetch by the wall clock, in ms since the epoch. */
  #fetchedMs = 0;

  private constructor(address: URL) {
    this.#remote = createRemoteJWKSet(address, {
      cacheMaxAge: JWKS_MAX_AGE_MS,
      cooldownDuration: JWKS_COOLDOWN_MS,
      [customFetch]: fetchKeys,
    });
  }

  /** Returns the source of an address: one for all handlers of this isolate, since an app may have one per route. */
  static at(address: URL): JwksSource {
    let source = JwksSource.#sources.get(address.href);
    if (!source) JwksSource.#sources.set(address.href, source = new JwksSource(address));
    return source;
  }

  /** Forgets the sources whose keys are too old to serve. A handler that has one keeps it. */
  static forgetStale(): void {
    for (const [address, source] of JwksSource.#sources) if (!source.fresh) JwksSource.#sources.delete(address);
  }

  /**
   * The keys, if they are young enough. The same object for as long as they are the same keys. Their age is unknown when
   * the wall clock is before the moment of their fetch: to `jose` they would stay young until that moment comes again.
   */
  get fresh(): KeySet | undefined {
    return this.#remote.fresh && Date.now() >= this.#fetchedMs ? this.#keys : undefined;
  }

  /**
   * Returns the keys. They are fetched if they are too old, or hold no key of that `kid` and were not fetched just now.
   * Concurrent callers share the fetch, which ends after 5 s; `wait` decides how long each waits for it.
   *
   * @throws what `wait` throws.
   */
  async keysFor(kid: string | undefined, wait: RequestWait): Promise<KeysOrFailure> {
    const known = this.fresh;
    if (known && (this.#remote.coolingDown || known.keys.some((key) => key.kid === kid))) return { keys: known };
    const failure = await wait(this.#reload());
    // Keys that are young enough still serve; the verifier reports a key that this token lacks.
    const keys = this.fresh;
    return keys ? { keys } : { failure: failure?.error };
  }

  /** Fetches the keys and adopts them, even if no caller waits any longer. */
  async #reload(): Promise<{ readonly error: unknown } | undefined> {
    try {
      await this.#remote.reload();
    } catch (error) {
      return { error };
    }
    this.#fetchedMs = Date.now();
    const keys = this.#remote.jwks();
    const text = JSON.stringify(keys);
    if (text !== this.#text) {
      this.#text = text;
      this.#keys = keys as KeySet | undefined;
    }
    return undefined;
  }
}
