/**
 * A client that is there before its lease.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { type AcquireOptions, LateReleaseError } from "../../pool/mod.ts";
import type { DeferredLease } from "./client_lease.ts";
import type { Credentials } from "../identity.ts";
import { type CallPlace, type CallSettings, LeaseCalls } from "../calls/lease_calls.ts";
import type { ClientParts } from "../pooled_client.ts";
import type { PlaceUser, SharedPlace } from "./shared_place.ts";
import type { Turns } from "./turns.ts";
import { createView } from "../view/view.ts";

/** What the client of a lease is made of. */
export interface ClientMaterial {
  readonly parts: ClientParts;
  readonly settings: CallSettings;
  readonly credentials: Credentials;
}

/** See {@linkcode DeferredLease}. */
export class DeferredClient<Database> implements DeferredLease<Database>, PlaceUser, CallPlace {
  readonly client: SupabaseClient<Database>;
  readonly #calls: LeaseCalls;
  readonly #place: SharedPlace;
  readonly #options: AcquireOptions;
  #held = false;
  /** Its way into the place, while it is on it. */
  #entering: Promise<void> | undefined = undefined;
  #ended: Promise<void> | undefined = undefined;

  /** @param options How the place is taken; their signal ends every call when it aborts. */
  constructor({ parts, settings, credentials }: ClientMaterial, place: SharedPlace, options: AcquireOptions) {
    this.#place = place;
    this.#options = options;
    this.#calls = new LeaseCalls(settings, credentials, options.signal, this);
    place.join(this);
    this.client = createView(parts, this.#calls) as unknown as SupabaseClient<Database>;
  }

  get waitedMs(): number {
    return this.#place.waitedMs;
  }

  /** For {@linkcode LeaseCalls}. */
  get turns(): Turns {
    return this.#place.turns;
  }

  end(): Promise<void> {
    return this.finish() ?? Promise.resolve();
  }

  finish(): Promise<void> | undefined {
    if (this.#ended !== undefined) return this.#ended;
    const quiet = this.#calls.finish();
    if (quiet) return this.#ended = quiet.then(() => this.#leave());
    this.#leave();
    return undefined;
  }

  abort(reason?: unknown): void {
    this.#calls.end(reason);
    this.end();
  }

  lost(reason: unknown): void {
    this.#calls.end(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  /** For {@linkcode LeaseCalls}. */
  take(): Promise<void> | undefined {
    if (this.#held) return undefined;
    if (this.#entering) return this.#entering;
    const entered = this.#place.enter(this, this.#options);
    if (entered) return this.#entering = this.#await(entered);
    this.#held = true;
    return undefined;
  }

  async #await(entered: Promise<void>): Promise<void> {
    try {
      await entered;
      this.#held = true;
    } finally {
      // A call that fails for want of a place leaves the next one free to try.
      this.#entering = undefined;
    }
  }

  #leave(): void {
    try {
      this.#place.leave(this);
    } catch (error) {
      // Its calls have been told.
      if (!(error instanceof LateReleaseError)) throw error;
    }
  }
}
