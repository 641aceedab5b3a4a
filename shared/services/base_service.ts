/**
 * A service on one client: the pattern to migrate from.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { toServiceError } from "./service_error.ts";

/**
 * The base of services that are given a client of their own. It bounds
 * nothing, retries nothing and tells nothing about load; see
 * `PooledBaseService`.
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
export abstract class BaseService<Database = any> {
  /** The service's own client. */
  protected readonly client: SupabaseClient<Database>;

  constructor(client: SupabaseClient<Database>) {
    this.client = client;
  }

  /**
   * Throws what `failure` means to a caller; see `toServiceError`.
   *
   * @param failure An error of supabase-js, or a whole result that has one: with its status, it says more.
   * @throws {ServiceError}
   */
  protected handleError(failure: unknown): never {
    throw toServiceError(failure);
  }
}
