/**
 * Texts of unknown origin as they may be logged: short, without credentials, and without the values that URLs carry.
 *
 * Everything here is linear in the length of the text, whatever it holds: a text is cut first, and no pattern backs up
 * over more than a bounded number of characters.
 *
 * @module
 */

/** Maximum length of a text that is redacted, in characters. */
export const MAX_TEXT_LENGTH = 4_096;

/** Maximum length of a word that may be dropped at a cut, in characters: part of a secret is a secret, too. */
const MAX_CUT_WORD = 256;

/** Returns at most `maxLength` characters of `text`: up to the last whole word, with a mark. */
export function cut(text: string, maxLength: number = MAX_TEXT_LENGTH): string {
  if (text.length <= maxLength) return text;
  const least = Math.max(maxLength - MAX_CUT_WORD, 0);
  let end = maxLength;
  while (end > least && !/\s/.test(text[end] ?? "")) end--;
  return `${text.slice(0, end)} [${text.length - end} more]`;
}

/** Maximum number of path segments of a URL that are shown: `/rest/v1/categories`. More may name a user or a file. */
const MAX_SEGMENTS = 3;

/** Returns the length of `text` without the punctuation at its end, which belongs to the sentence around it. */
function lengthWithoutPunctuation(text: string): number {
  let end = text.length;
  while (end > 0 && "),.:;]}".includes(text[end - 1] ?? "")) end--;
  return end;
}

/** Returns the path of a URL without what may be a value. The first segment is the host. */
function shownPath(address: string): string {
  const [host = "", ...segments] = address.split("/");
  const shown = segments[2] === "rpc" ? MAX_SEGMENTS + 1 : MAX_SEGMENTS;
  const path = segments.length <= shown ? segments : [...segments.slice(0, shown), "..."];
  return [host, ...path].join("/");
}

/** Returns what follows `://` of a URL, without credentials, query and fragment. */
function shownAddress(rest: string, isFile: boolean): string {
  const end = lengthWithoutPunctuation(rest);
  const [text, after] = [rest.slice(0, end), rest.slice(end)];
  const special = text.search(/[?#]/);
  let address = special < 0 ? text : text.slice(0, special);
  // A password that should have been escaped may hold slashes, at signs, and what begins a query.
  const at = address.lastIndexOf("@");
  if (at >= 0) address = `[credentials]@${shownPath(address.slice(at + 1))}`;
  else if (special >= 0 && text.includes("@") && /^[^/:]*:[^/]*[^/\d]/.test(address)) address = "[credentials]";
  else if (!isFile) address = shownPath(address);
  return address + (special < 0 ? "" : `${text[special]}[removed]`) + after;
}

/** Texts that look like credentials, and their replacements. */
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]*(?:\.[\w-]*){0,2}/g, "[token]"],
  [/\bsb_(secret|publishable)_[\w-]+/g, "[key]"],
  [/\bBearer\s{1,9}[^\s"',;]+/gi, "Bearer [token]"],
  [/\bsbp_[\w-]+/g, "[key]"],
  [/\bBasic\s{1,9}[\w+/=-]+/gi, "Basic [credentials]"],
  [/-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?/g, "[private key]"],
  [
    // In JSON within JSON, quotation marks are escaped. `JWT_SECRET: must have ...` is an issue of a `ConfigError`.
    /(password|passwd|pwd|secret|token|api[_-]?key)(\\{0,3}["']?\s{0,9}[=:]\s{0,9}\\{0,3}["']?)(?!(?<=: )(?:must|is|has) )[^\s"'&,;\\]+/gi,
    "$1$2[secret]",
  ],
];

/** The rest of a URL after its scheme. */
const AFTER_SCHEME = /:\/\/[^\s"'<>]*/g;
/** The query of a URL without a host. */
const QUERY = /\?[\w.%[\]~-]{1,64}=[^\s"'<>]*/g;

/**
 * Returns `text` without anything that looks like a credential, without the query and the fragment of URLs, and without
 * the values in `secrets`. A text longer than {@linkcode MAX_TEXT_LENGTH} is cut first.
 *
 * @example
 * ```ts
 * redact("error sending request for url (https://x.supabase.co/rest/v1/users?email=eq.jane)");
 * // error sending request for url (https://x.supabase.co/rest/v1/users?[removed])
 * ```
 */
export function redact(text: string, secrets: Iterable<string> = []): string {
  let clean = cut(text);
  for (const secret of secrets) {
    if (secret !== "") clean = clean.replaceAll(secret, "[secret]");
  }
  clean = clean.replace(AFTER_SCHEME, (found, at: number) => {
    const isFile = clean.slice(Math.max(at - 4, 0), at).toLowerCase() === "file";
    return `://${shownAddress(found.slice(3), isFile)}`;
  });
  clean = clean.replace(QUERY, (found) => `?[removed]${found.slice(lengthWithoutPunctuation(found))}`);
  return CREDENTIALS.reduce((rest, [pattern, label]) => rest.replace(pattern, label), clean);
}

/** An email address, in the widest sense, percent-encoded or not. Only the beginning of a word is tried, so that each is read once. */
const EMAIL =
  /(?<![^\s@"'<>(),:;=/?#&[\]])[^\s@"'<>(),:;=/?#&[\]]+(?:@|%40)(?:[^\s@.,:;()<>"'/?#&=[\]]{1,63}\.){1,8}\p{L}[^\s@.,:;()<>"'/?#&=[\]]{1,24}/gu;

/** Returns a text without email addresses, which are the values of users that errors quote most. */
export function withoutEmails(text: string): string {
  return text.replace(EMAIL, "[email]");
}

/** The quotation marks of messages, in the languages of Postgres. */
const QUOTES = "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\u300c\u300d\u300e\u300f";

/**
 * Returns a text without what it quotes: from its first quotation mark to its last, since a quoted value may hold
 * quotation marks itself.
 */
export function withoutQuotes(text: string): string {
  let [first, last] = [0, text.length - 1];
  while (first < text.length && !QUOTES.includes(text[first] ?? "")) first++;
  if (first === text.length) return text;
  while (last > first && !QUOTES.includes(text[last] ?? "")) last--;
  return `${text.slice(0, first)}"..."${last > first ? text.slice(last + 1) : ""}`;
}

/**
 * Characters that move a terminal's cursor, change its colors, end a line, or reorder or hide text, and that JSON does
 * not escape by itself: DEL and C1 controls, line separators, marks of direction and of joining.
 */
const UNPRINTABLE = /[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Returns JSON text on one line that is safe to show: what could affect a terminal is escaped. The value is the same. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
