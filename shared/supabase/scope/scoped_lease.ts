/**
 * A lease of a client.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { DoubleReleaseError, LateReleaseError, type ReleaseOptions } from "../../pool/mod.ts";
import type { LeaseFetch } from "../calls/lease_fetch.ts";
import type { ClientTemplate } from "../client_template.ts";
import { createView } from "../view/view.ts";
import type { ClientLease } from "./client_lease.ts";
import type { SlotHolder } from "./slot_holder.ts";

/** A member of a scope's slot, with the client it uses. */
export class ScopedLease<Database> implements ClientLease<Database> {
  readonly client: SupabaseClient<Database>;
  readonly #fetch: LeaseFetch;
  readonly #slot: SlotHolder<LeaseFetch>;
  #released = false;

  /** @param fetch What its client sends through. It is in `slot`. */
  constructor(template: ClientTemplate, fetch: LeaseFetch, slot: SlotHolder<LeaseFetch>) {
    this.#fetch = fetch;
    this.#slot = slot;
    this.client = createView(template, fetch) as unknown as SupabaseClient<Database>;
  }

  release(options?: ReleaseOptions): void {
    if (this.#released) throw new DoubleReleaseError();
    this.#released = true;
    this.#fetch.end();
    // Where the scope has ended it, there is nothing left to release.
    if (!this.#slot.leave(this.#fetch, options?.destroy === true)) throw new LateReleaseError();
  }

  [Symbol.dispose](): void {
    if (this.#released) return;
    this.#released = true;
    this.#fetch.end();
    this.#slot.leave(this.#fetch);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }
}
