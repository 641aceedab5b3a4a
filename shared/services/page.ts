/**
 * Lists, a page at a time.
 *
 * @module
 */

/** Which part of a list. */
export interface PageRequest {
  /** How many items at most, 1 or more. */
  readonly limit: number;
  /** How many items to skip, 0 or more. */
  readonly offset: number;
}

/** Part of a list, and how long the list is. */
export interface Page<Item> extends PageRequest {
  readonly items: Item[];
  /** How many items the whole list has. */
  readonly total: number;
}

/** What a counted query of postgrest-js resolves with, as far as a page needs it. */
interface CountedResult<Item> {
  readonly data: Item[] | null;
  readonly error: { readonly code: string } | null;
  readonly count: number | null;
}

/** A page that begins behind the end; PostgREST answers 416 with this code instead of an empty list. */
const BEYOND_THE_END = "PGRST103";

/**
 * One page of a query.
 *
 * @param read Runs the query for the rows `from` to `to`, both included, counted exactly.
 * @param fail Throws what a failed result means.
 */
export async function readPage<Item>(
  { limit, offset }: PageRequest,
  read: (from: number, to: number) => PromiseLike<CountedResult<Item>>,
  fail: (result: CountedResult<Item>) => never,
): Promise<Page<Item>> {
  const result = await read(offset, offset + limit - 1);
  if (!result.error) return { items: result.data ?? [], total: result.count ?? 0, limit, offset };
  if (result.error.code !== BEYOND_THE_END) fail(result);
  const first = await read(0, 0);
  if (first.error && first.error.code !== BEYOND_THE_END) fail(first);
  return { items: [], total: first.count ?? 0, limit, offset };
}
