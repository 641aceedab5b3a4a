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
  // These are for one that ended before, and refused inside of another one.
  if (second === "PREPARED") return false;
  if (first === "ROLLBACK" && (NOISE.has(second) ? third : second) === "TO") return false;
  return ENDS.has(first);
}

/** Whether a statement is a COPY whose data go over the connection. */
export function copiesOverConnection(text: string): boolean {
  if (ORDINARY.test(text) || firstWords(text, 1)[0] !== "COPY") return false;
  return /\b(stdin|stdout)\b/i.test(text.replace(/'[^']*'|"[^"]*"/g, ""));
}

/** What a statement may be whose functions leave something by their names. */
const CALLS: ReadonlySet<string> = new Set(
  ["SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "CALL", "DO", "EXPLAIN"],
);
const LEAVING_CALL = /\bset_config\s*\([^()]*,\s*false\s*\)|\bpg_(try_)?advisory_lock(_shared)?\s*\(/i;
const INTO_TEMPORARY = /\binto\s+(local\s+|global\s+)?temp/i;

/** What `SET` may be followed by so that it ends with the transaction. */
const TRANSACTION_SETTINGS: ReadonlySet<string> = new Set(["LOCAL", "TRANSACTION", "CONSTRAINTS"]);

/** What holds for the whole session, or drops what others have prepared in it. */
const OF_SESSION: ReadonlySet<string> = new Set(["LISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "LOAD"]);

/**
 * Whether a statement leaves something in its session, or takes something from it, that does not end with
 * the transaction. It judges by the text: what a function does inside is not seen.
 */
export function outlivesTransaction(text: string): boolean {
  const words = firstWords(text, 3);
  const [first = "", second = ""] = words;
  if (first === "SET") return !TRANSACTION_SETTINGS.has(second);
  if (first === "DECLARE") return /\bwith\s+hold\b/i.test(text);
  if (first === "CREATE" && words.some((word) => /^TEMP(ORARY)?$/.test(word))) {
    return !/\bon\s+commit\s+drop\b/i.test(text);
  }
  if (CALLS.has(first)) return LEAVING_CALL.test(text) || INTO_TEMPORARY.test(text);
  return OF_SESSION.has(first);
}
