/**
 * A client that is there before its lease.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { type Lease, LeaseRevokedError } from "../pool/mod.ts";
import type { DeferredLease } from "./client_lease.ts";
import type { Credentials } from "./identity.ts";
import { type CallSettings, LeaseCalls } from "./lease_calls.ts";
import type { ClientParts, PooledClient } from "./pooled_client.ts";
import { createView } from "./view.ts";

/** Takes a place in the pool, or stops waiting for one when the signal aborts. */
export type AcquirePlace = (signal: AbortSignal) => Promise<Lease<PooledClient>>;

/** See {@linkcode DeferredLease}. */
export class DeferredClient<Database> implements DeferredLease<Database> {
  readonly client: SupabaseClient<Database>;
  readonly #calls: LeaseCalls;
  readonly #acquire: AcquirePlace;
  readonly #callerSignal: AbortSignal | undefined;
  #lease: Promise<Lease<PooledClient>> | undefined = undefined;
  /** Ends the wait for a place, while there is one. */
  #waiting: AbortController | undefined = undefined;
  #ended: Promise<void> | undefined = undefined;
  #waitedMs = 0;

  /** @param callerSignal The caller's own signal: it ends the wait and every call. */
  constructor(
    parts: ClientParts,
    settings: CallSettings,
    credentials: Credentials,
    acquire: AcquirePlace,
    callerSignal: AbortSignal | undefined,
  ) {
    this.#acquire = acquire;
    this.#callerSignal = callerSignal;
    this.#calls = new LeaseCalls(settings, credentials, callerSignal, () => this.#take());
    this.client = createView(parts, this.#calls) as unknown as SupabaseClient<Database>;
  }

  get waitedMs(): number {
    return this.#waitedMs;
  }

  end(): Promise<void> {
    return this.#ended ??= this.#finish();
  }

  abort(reason?: unknown): void {
    this.#calls.end(reason);
    this.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async #take(): Promise<void> {
    const taken = await (this.#lease ??= this.#wait());
    if (!taken.active) throw new LeaseRevokedError();
    taken.onLost = (reason) => this.#calls.end(reason);
  }

  #wait(): Promise<Lease<PooledClient>> {
    const { signal } = this.#waiting = new AbortController();
    const startMs = performance.now();
    const waited = () => {
      this.#waitedMs += performance.now() - startMs;
      this.#waiting = undefined;
    };
    const acquired = this.#acquire(this.#callerSignal ? AbortSignal.any([this.#callerSignal, signal]) : signal);
    acquired.then(waited, () => {
      waited();
      // A call that fails for want of a place leaves the next one free to try.
      this.#lease = undefined;
    });
    return acquired;
  }

  async #finish(): Promise<void> {
    await this.#calls.finish();
    this.#waiting?.abort();
    try {
      (await this.#lease)?.[Symbol.dispose]();
    } catch {
      // The calls that waited for the lease have been told why there is none.
    }
  }
}
