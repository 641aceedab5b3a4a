/**
 * The leases a handler takes by itself, and those it forgets.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { ReleaseOptions } from "../../pool/mod.ts";
import { type ClientLease, type ClientPool, type ClientSession, IdentityError } from "../../supabase/mod.ts";

/** A lease that tells when its holder gives it back. */
class WatchedLease<Database> implements ClientLease<Database> {
  readonly client: SupabaseClient<Database>;
  readonly #lease: ClientLease<Database>;
  readonly #onRelease: () => void;

  constructor(lease: ClientLease<Database>, onRelease: () => void) {
    this.client = lease.client;
    this.#lease = lease;
    this.#onRelease = onRelease;
  }

  release(options?: ReleaseOptions): void {
    this.#onRelease();
    this.#lease.release(options);
  }

  [Symbol.dispose](): void {
    this.#onRelease();
    this.#lease[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#onRelease();
    await this.#lease[Symbol.asyncDispose]();
  }
}

/** What {@linkcode HeldLeases} asks and tells its request. */
export interface HeldLeasesOptions {
  /** Whether the request is over: answered, with no background work left. */
  readonly over: () => boolean;
  /** Whether the one who asks is at work for another request. */
  readonly elsewhere: () => boolean;
  /** Told how many leases came when the request was over already, and were ended at once. */
  readonly onLate: (count: number) => void;
}

/** Of so many leases that were given back the clients are kept for {@linkcode HeldLeases.clients}. */
const KEPT_CLIENTS = 8;

/** The leases of one request that were not given back yet. */
export class HeldLeases<Database> {
  readonly #held = new Set<ClientLease<Database>>();
  readonly #givenBack: SupabaseClient<Database>[] = [];
  readonly #options: HeldLeasesOptions;

  constructor(options: HeldLeasesOptions) {
    this.#options = options;
  }

  /** @throws {IdentityError} where the one who asks is at work for another request. */
  check(): void {
    if (!this.#options.elsewhere()) return;
    throw new IdentityError("This pool acts for the caller of another request: keep no ctx.pool");
  }

  /**
   * `session`, its leases watched. What is leased once the request is over is its holder's own; to another request it
   * lends nothing.
   */
  watch(session: ClientSession<Database>): ClientPool<Database> {
    const { over, onLate } = this.#options;
    return {
      config: session.config,
      signal: session.signal,
      getStats: () => session.getStats(),
      healthCheck: () => session.healthCheck(),
      lease: async (options) => {
        this.check();
        if (over()) return await session.lease(options);
        const lease = await session.lease(options);
        const watched = new WatchedLease(lease, () => this.#remove(watched));
        this.#held.add(watched);
        if (over()) onLate(this.end());
        return watched;
      },
    };
  }

  /** The clients of the leases that are held, and of those given back of late: they know what their calls threw. */
  get clients(): readonly SupabaseClient<Database>[] {
    return [...this.#held].map(({ client }) => client).concat(this.#givenBack);
  }

  /** Ends every lease that is still held, with the calls under way in it, and says how many they were. */
  end(): number {
    const forgotten = [...this.#held];
    for (const lease of forgotten) lease[Symbol.dispose]();
    return forgotten.length;
  }

  #remove(lease: ClientLease<Database>): void {
    if (!this.#held.delete(lease)) return;
    if (this.#givenBack.push(lease.client) > KEPT_CLIENTS) this.#givenBack.shift();
  }
}
