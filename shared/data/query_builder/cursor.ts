/**
 * Cursors of `paginate`: the values of the ordered columns in the last row of a page, as text.
 *
 * @module
 */
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";
import { InvalidCursorError } from "./errors.ts";

/** Returns a short hash of a text (FNV-1a), to tell cursors of different queries apart. It protects nothing. */
function fingerprint(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** Returns whether a value is a text that Postgres can have. */
function isText(value: unknown): boolean {
  return typeof value === "string" && value.isWellFormed() && !value.includes("\0");
}

/**
 * Returns a cursor.
 *
 * @param query A text that is the same for queries whose cursors may be exchanged.
 * @param values The values, as text.
 */
export function encodeCursor(query: string, values: readonly (string | null)[]): string {
  return encodeBase64Url(JSON.stringify([fingerprint(query), ...values]));
}

/**
 * Reads a cursor. Its values only ever become parameters.
 *
 * @throws {InvalidCursorError} when it is not one that {@linkcode encodeCursor} returned for this query.
 */
export function decodeCursor(cursor: unknown, query: string, length: number): (string | null)[] {
  // Its length is not bounded: that of the values of the ordered columns is not.
  if (typeof cursor !== "string") throw new InvalidCursorError();
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeBase64Url(cursor));
  } catch (error) {
    throw new InvalidCursorError({ cause: error });
  }
  if (!Array.isArray(parsed) || parsed.length !== length + 1) throw new InvalidCursorError();
  const [hash, ...values] = parsed as unknown[];
  if (hash !== fingerprint(query)) throw new InvalidCursorError();
  if (!values.every((value) => value === null || isText(value))) throw new InvalidCursorError();
  return values as (string | null)[];
}
