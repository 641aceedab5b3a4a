/**
 * The base class of services with a client of their own.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { toServiceError } from "./to_service_error.ts";

/**
 * The base class of services with a client of their own: the pattern to migrate from. It has no limits, retries or
 * statistics; see {@linkcode PooledBaseService}.
 *
 * @example
 * ```ts
 * class NoteService extends BaseService<Database> {
 *   async listNotes(): Promise<Note[]> {
 *     const { data, error } = await this.client.from("notes").select("*");
 *     if (error) this.handleError(error);
 *     return data;
 *   }
 * }
 * ```
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
export abstract class BaseService<Database = any> {
  /** The service's client. */
  protected readonly client: SupabaseClient<Database>;

  /** Creates a service that uses `client` for every operation. */
  constructor(client: SupabaseClient<Database>) {
    this.client = client;
  }

  /**
   * Throws `failure` as a `ServiceError`; see `toServiceError`.
   *
   * @param failure An error of supabase-js, or a whole result with an error: its status makes the error more precise.
   * @throws {ServiceError} Always.
   */
  protected handleError(failure: unknown): never {
    throw toServiceError(failure);
  }
}
