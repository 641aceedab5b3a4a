/**
 * Lists, one page at a time.
 *
 * @module
 */

import { toServiceError } from "./to_service_error.ts";

/** A part of a list. */
export interface PageRequest {
  /** The maximum number of items, from 1. */
  readonly limit: number;
  /** The number of items to skip, from 0. */
  readonly offset: number;
}

/** One page of a list. */
export interface Page<Item> extends PageRequest {
  /** The items of this page. */
  readonly items: Item[];
  /** The number of items in the whole list. */
  readonly total: number;
}

/** The result of a counted query of postgrest-js. */
export interface CountedResult<Item> {
  /** The rows. `null` on failure. */
  readonly data: Item[] | null;
  /** The failure. `null` on success. */
  readonly error: { readonly code: string } | null;
  /** The number of rows in the whole list. `null` on failure. */
  readonly count: number | null;
}

/** PostgREST's code for a page that begins after the end of the list: it responds 416, not with an empty list. */
const OUT_OF_RANGE = "PGRST103";

/**
 * Reads one page of a query. A page that begins after the end of the list is empty.
 *
 * @example
 * ```ts ignore
 * const page = await readPage(
 *   { limit: 50, offset: 0 },
 *   (from, to) => client.from("notes").select("*", { count: "exact" }).order("id").range(from, to),
 * );
 * ```
 *
 * @param read Runs the query for the rows from `from` to `to`, both included, with an exact count.
 * @throws {ServiceError} for a failed result; see `toServiceError`.
 */
export async function readPage<Item>(
  { limit, offset }: PageRequest,
  read: (from: number, to: number) => PromiseLike<CountedResult<Item>>,
): Promise<Page<Item>> {
  const result = await read(offset, offset + limit - 1);
  if (!result.error) return { items: result.data ?? [], total: result.count ?? 0, limit, offset };
  if (result.error.code !== OUT_OF_RANGE) throw toServiceError(result);
  const first = await read(0, 0);
  if (first.error && first.error.code !== OUT_OF_RANGE) throw toServiceError(first);
  return { items: [], total: first.count ?? 0, limit, offset };
}
