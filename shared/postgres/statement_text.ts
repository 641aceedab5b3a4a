/**
 * What the text of a statement says of it, where that must be known before it is sent.
 *
 * @module
 */

/** What may stand before a statement; semicolons are empty statements, and do not count. */
const BLANK = /(?:[\s;]|--[^\r\n]*)+/y;
const WORD = /[a-z_]+/iy;

/** Where a comment that begins at `from` ends. Comments nest (PostgreSQL, "Comments"). */
function endOfComment(text: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  let depth = 0;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}

/** Where what follows blanks and comments begins. */
function skipBlanks(text: string, from: number): number {
  for (let at = from;;) {
    BLANK.lastIndex = at;
    if (BLANK.test(text)) at = BLANK.lastIndex;
    else if (text.startsWith("/*", at)) at = endOfComment(text, at);
    else return at;
  }
}

/** The first words of a statement, in upper case, as long as there are words: at most `most`. */
export function firstWords(text: string, most: number): string[] {
  const words: string[] = [];
  for (let at = 0; words.length < most; at = WORD.lastIndex) {
    WORD.lastIndex = skipBlanks(text, at);
    const [word] = WORD.exec(text) ?? [];
    if (word === undefined) break;
    words.push(word.toUpperCase());
  }
  return words;
}

/** Statements that neither end a transaction nor speak the protocol of COPY: most there are. */
const ORDINARY = /^\s*(select|insert|update|delete|merge|values|table|with|set|create|alter|drop)\b/i;

const ENDS: ReadonlySet<string> = new Set(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"]);
const NOISE: ReadonlySet<string> = new Set(["WORK", "TRANSACTION"]);

/**
 * Whether a statement begins or ends a transaction. Savepoints are none of these.
 * No function and no procedure can do so inside a transaction (PostgreSQL, "Transaction Management").
 */
export function controlsTransaction(text: string): boolean {
  if (ORDINARY.test(text)) return false;
  const [first, second = "", third] = firstWords(text, 3);
  if (first === undefined) return false;
  if (first === "PREPARE") return second === "TRANSACTION";
  if (first === "ROLLBACK" && (NOISE.has(second) ? third : second) === "TO") return false;
  return ENDS.has(first);
}

/** Whether a statement is a COPY whose data go over the connection. */
export function copiesOverConnection(text: string): boolean {
  if (ORDINARY.test(text) || firstWords(text, 1)[0] !== "COPY") return false;
  return /\b(stdin|stdout)\b/i.test(text.replace(/'[^']*'|"[^"]*"/g, ""));
}
