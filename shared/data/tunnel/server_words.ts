/**
 * Words of an SSH server in errors: until its key is verified they may come from anyone, and afterwards they may be wrong.
 *
 * @module
 */

/** The longest text that is shown, in characters. */
const MAX_LENGTH = 200;

/** Characters that a terminal or a log could act on, or that hide a part of a line: controls, formats and separators. */
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Returns words of a server as they may be shown: on one line, shortened, without characters that are not printable. */
export function shownWords(words: string): string {
  const short = words.length > MAX_LENGTH ? `${words.slice(0, MAX_LENGTH)}...` : words;
  return short.toWellFormed().replace(
    NOT_PRINTABLE,
    (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`,
  );
}
