/**
 * Schemas of fields that several functions take. Each message says what the
 * field may hold. An entry point of its own: schemas cost a cold isolate time,
 * and a function without them makes none.
 *
 * @module
 */
import * as z from "zod";

/** The longest name, in characters. */
export const MAX_NAME_LENGTH = 120;
/** The most items of one page. */
export const MAX_PAGE_LIMIT = 100;
/** Items of a page, unless told otherwise. */
export const DEFAULT_PAGE_LIMIT = 50;
/** How many items a page may skip at most: the database counts them off one by one. */
export const MAX_PAGE_OFFSET = 1_000_000;

const nameError = `must be text of 1 to ${MAX_NAME_LENGTH} characters, without control characters`;

function isName(text: string): boolean {
  // Postgres keeps neither NUL nor half of a surrogate pair, and counts characters, not UTF-16 units.
  return text.isWellFormed() && !/\p{Cc}/u.test(text) && text !== "" && [...text].length <= MAX_NAME_LENGTH;
}

/** A name: 1 to {@linkcode MAX_NAME_LENGTH} characters, trimmed. */
export const nameField = z.string({ error: nameError }).trim().refine(isName, { error: nameError });

const uuidError = "must be a UUID, such as 123e4567-e89b-12d3-a456-426614174000";

/** A UUID of any version, as Postgres takes it. */
export const uuidField = z.guid({ error: uuidError }).toLowerCase();

const currencyError = "must be an ISO 4217 code, such as EUR";

/** A currency. */
export const currencyField = z.string({ error: currencyError }).regex(/^[A-Z]{3}$/, { error: currencyError });

/** A whole number in a query. */
function wholeField(least: number, most: number, otherwise: number) {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.string({ error }).regex(/^\d{1,9}$/, { error }).transform(Number)
    .refine((number) => number >= least && number <= most, { error })
    .default(otherwise);
}

/** Which page: `limit` (50 of at most 100) and `offset` (0). */
export const pageFields = {
  limit: wholeField(1, MAX_PAGE_LIMIT, DEFAULT_PAGE_LIMIT),
  offset: wholeField(0, MAX_PAGE_OFFSET, 0),
};
