/**
 * The settings that describe a request to the database, as the Data API sets them (PostgREST, "Transaction-Scoped
 * Settings"): `request.method`, `request.path`, `request.headers` and `request.cookies`.
 *
 * @module
 */

/** The request on whose behalf a caller uses the database. A `Request` is one. */
export interface CallerRequest {
  /** The method, in upper case. */
  readonly method: string;
  /** The URL, of which the path is used. */
  readonly url: string;
  /** The headers, by name in lower case. A name that occurs twice is sent once, with the last value. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
}

/** The names of the settings, in the order of {@linkcode requestSettings}. */
export const REQUEST_SETTINGS = ["request.method", "request.path", "request.headers", "request.cookies"] as const;

/** The values where there is no request: what a function reads from them must not depend on an earlier request. */
export const NO_REQUEST: readonly string[] = Object.freeze(["", "", "{}", "{}"]);

/** The most characters of all header names and values, and of the path: a statement must not grow without a bound. */
const MAX_HEADERS_LENGTH = 32_768;
const MAX_PATH_LENGTH = 8_192;

/**
 * Returns the values of the settings, in the order of {@linkcode REQUEST_SETTINGS}. Headers that would exceed 32,768
 * characters together are left out, each one that does not fit.
 */
export function requestSettings({ method, url, headers }: CallerRequest): readonly string[] {
  const all: Record<string, string> = Object.create(null);
  let cookies = "";
  let left = MAX_HEADERS_LENGTH;
  for (const [name, value] of headers) {
    const length = name.length + value.length;
    if (length > left) continue;
    left -= length;
    if (name === "cookie") cookies = decode(value);
    else all[name] = decode(value);
  }
  const path = (URL.parse(url)?.pathname ?? "").slice(0, MAX_PATH_LENGTH);
  return [method, path, JSON.stringify(all), JSON.stringify(parseCookies(cookies))];
}

/** Returns the pairs of a `Cookie` header (RFC 6265, section 4.2), with their values as they were sent. */
function parseCookies(header: string): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null);
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    const name = (at < 0 ? pair : pair.slice(0, at)).trim();
    if (name !== "") cookies[name] = at < 0 ? "" : pair.slice(at + 1).trim();
  }
  return cookies;
}

// deno-lint-ignore no-control-regex -- the range of ASCII
const ASCII = /^[\x01-\x7f]*$/;

/** Returns a header's value as text: each of its characters stands for a byte, which senders mean as UTF-8. */
function decode(value: string): string {
  if (ASCII.test(value)) return value;
  return new TextDecoder().decode(Uint8Array.from(value, (character) => character.charCodeAt(0))).replaceAll("\0", "");
}
