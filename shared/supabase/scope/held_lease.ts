/**
 * A lease with a place of its own.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Lease, ReleaseOptions } from "../../pool/mod.ts";
import type { ClientLease } from "./client_lease.ts";
import type { LeaseCalls } from "../calls/lease_calls.ts";
import { PooledClient } from "../pooled_client.ts";
import { createView } from "../view/view.ts";

/** A lease and what its client sends. */
export class HeldLease<Database> implements ClientLease<Database> {
  readonly client: SupabaseClient<Database>;
  readonly #lease: Lease<PooledClient>;
  readonly #calls: LeaseCalls;

  constructor(lease: Lease<PooledClient>, calls: LeaseCalls) {
    this.#lease = lease;
    this.#calls = calls;
    this.client = createView(PooledClient.partsOf(lease.resource), calls) as unknown as SupabaseClient<Database>;
  }

  release(options?: ReleaseOptions): void {
    this.#lease.release(options);
    this.#calls.end();
  }

  [Symbol.dispose](): void {
    if (this.#lease.active) this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }
}
