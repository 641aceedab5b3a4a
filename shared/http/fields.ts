/**
 * Schemas of fields that several functions accept. Each message lists the valid values. A separate entry point: schemas
 * cost a cold isolate time, and a function without them creates none.
 *
 * @module
 */
import * as z from "zod";

/** The maximum length of a name, in characters. */
export const MAX_NAME_LENGTH = 120;
/** The maximum number of items on a page. */
export const MAX_PAGE_LIMIT = 100;
/** The default number of items on a page. */
export const DEFAULT_PAGE_LIMIT = 50;
/** The maximum offset of a page: the database counts skipped items one by one. */
export const MAX_PAGE_OFFSET = 1_000_000;

const nameError = `must be text of 1 to ${MAX_NAME_LENGTH} characters, without control characters`;

function isName(text: string): boolean {
  // Postgres stores neither NUL nor half of a surrogate pair, and counts characters, not UTF-16 units.
  return text.isWellFormed() && !/\p{Cc}/u.test(text) && text !== "" && [...text].length <= MAX_NAME_LENGTH;
}

/** A name: 1 to {@linkcode MAX_NAME_LENGTH} characters, trimmed. */
export const nameField: z.ZodType<string> = z.string({ error: nameError }).trim().refine(isName, { error: nameError });

const uuidError = "must be a UUID, such as 123e4567-e89b-12d3-a456-426614174000";

/** A UUID of any version, as Postgres accepts it. */
export const uuidField: z.ZodType<string> = z.guid({ error: uuidError }).toLowerCase();

const currencyError = "must be an ISO 4217 code, such as EUR";

/** A currency: an ISO 4217 code. */
export const currencyField: z.ZodType<string> = z.string({ error: currencyError }).regex(/^[A-Z]{3}$/, {
  error: currencyError,
});

/** A whole number in a query, which may be missing. */
export type WholeField = z.ZodDefault<z.ZodType<number, string>>;

/** Creates the schema of a whole number in a query. */
function wholeField(least: number, most: number, otherwise: number): WholeField {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.string({ error }).regex(/^\d{1,9}$/, { error }).transform(Number)
    .refine((number) => number >= least && number <= most, { error })
    .default(otherwise);
}

/** The page of a list: `limit` (1 to 100, default 50) and `offset` (default 0). */
export const pageFields: { readonly limit: WholeField; readonly offset: WholeField } = {
  limit: wholeField(1, MAX_PAGE_LIMIT, DEFAULT_PAGE_LIMIT),
  offset: wholeField(0, MAX_PAGE_OFFSET, 0),
};
