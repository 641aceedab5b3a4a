/**
 * Ranges and conditions of downloads (RFC 9110).
 *
 * @module
 */

/** A part of a file: from `start` to before `end`. */
export interface ByteRange {
  /** The first byte. */
  readonly start: number;
  /** The byte behind the last one. */
  readonly end: number;
}

/**
 * Returns the range that a `Range` header asks for; `undefined` for the whole file, which includes headers that are not
 * valid or that name several ranges, and `"unsatisfiable"` if it lies behind the end.
 */
export function parseRange(header: string | null, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const count = Math.min(Number(last), size);
    return count === 0 ? "unsatisfiable" : { start: size - count, end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/** Returns whether the caller has the current content: `If-None-Match` comes before `If-Modified-Since`. */
export function isFresh(headers: Headers, etag: string, lastModified: Date): boolean {
  const tags = headers.get("if-none-match");
  if (tags !== null) {
    return tags.trim() === "*" || tags.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
  }
  const since = Date.parse(headers.get("if-modified-since") ?? "");
  return !Number.isNaN(since) && Math.floor(lastModified.getTime() / 1000) * 1000 <= since;
}
