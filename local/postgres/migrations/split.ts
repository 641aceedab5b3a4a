/**
 * Splits an SQL file into statements, as the Supabase CLI records them.
 *
 * @module
 */

/** A statement of a file. */
export interface Statement {
  /** The text, with the comments before it and without the semicolon after it. */
  readonly text: string;
  /** The position of the text in the file. */
  readonly offset: number;
}

const IDENTIFIER = /[\p{L}\p{N}_$]/u;

/** Returns the end of a string whose quote is at `at`. A doubled quote does not end it. */
function skipQuoted(sql: string, at: number, escapes: boolean): number {
  const quote = sql[at];
  for (let next = at + 1; next < sql.length; next++) {
    if (escapes && sql[next] === "\\") next++;
    else if (sql[next] === quote) {
      if (sql[next + 1] !== quote) return next + 1;
      next++;
    }
  }
  return sql.length;
}

/** Returns the end of a comment between slashes and stars, which may contain others. */
function skipBlockComment(sql: string, at: number): number {
  let depth = 0;
  for (let next = at; next < sql.length; next++) {
    if (sql.startsWith("/*", next)) {
      depth++;
      next++;
    } else if (sql.startsWith("*/", next)) {
      depth--;
      next++;
      if (depth === 0) return next + 1;
    }
  }
  return sql.length;
}

/** Returns the end of what a quote or comment at `at` begins; `at` if none begins there. */
function skipOpaque(sql: string, at: number): number {
  const before = sql[at - 1] ?? "";
  switch (sql[at]) {
    case "'": {
      const escapes = /[eE]/.test(before) && !IDENTIFIER.test(sql[at - 2] ?? "");
      return skipQuoted(sql, at, escapes);
    }
    case '"':
      return skipQuoted(sql, at, false);
    case "-": {
      if (sql[at + 1] !== "-") return at;
      const end = sql.indexOf("\n", at);
      return end < 0 ? sql.length : end + 1;
    }
    case "/":
      return sql[at + 1] === "*" ? skipBlockComment(sql, at) : at;
    case "$": {
      if (IDENTIFIER.test(before)) return at;
      const tag = /^\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/u.exec(sql.slice(at, at + 70))?.[0];
      if (tag === undefined) return at;
      const end = sql.indexOf(tag, at + tag.length);
      return end < 0 ? sql.length : end + tag.length;
    }
  }
  return at;
}

/** Returns the word at `at`, in lower case; `""` if none begins there. */
function wordAt(sql: string, at: number): string {
  if (IDENTIFIER.test(sql[at - 1] ?? "")) return "";
  return /^[A-Za-z_][A-Za-z0-9_$]*/.exec(sql.slice(at, at + 64))?.[0].toLowerCase() ?? "";
}

/**
 * Splits `sql` at the semicolons that end statements: not those in strings, comments, dollar quotes, parentheses and
 * the bodies of functions between `begin atomic` and `end`.
 */
export function splitStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let start = 0;
  let parentheses = 0;
  // The nesting of `begin atomic … end` and of `case … end` in it.
  let atomic = 0;
  let previous = "";
  const add = (end: number) => {
    const piece = sql.slice(start, end);
    let length = piece.trimEnd().length;
    while (piece[length - 1] === ";") length = piece.slice(0, length - 1).trimEnd().length;
    const text = piece.slice(0, length).trimStart();
    if (text !== "") statements.push({ text, offset: start + (piece.length - piece.trimStart().length) });
  };
  for (let at = 0; at < sql.length;) {
    const end = skipOpaque(sql, at);
    if (end > at) {
      at = end;
      continue;
    }
    const word = wordAt(sql, at);
    if (word !== "") {
      if (word === "atomic" && previous === "begin") atomic++;
      else if (atomic > 0 && word === "case") atomic++;
      else if (atomic > 0 && word === "end") atomic--;
      previous = word;
      at += word.length;
      continue;
    }
    const char = sql[at];
    if (char === "(") parentheses++;
    else if (char === ")") parentheses = Math.max(0, parentheses - 1);
    else if (char === ";" && parentheses === 0 && atomic === 0) {
      add(at);
      start = at + 1;
    }
    if (char !== undefined && /\S/.test(char)) previous = "";
    at++;
  }
  add(sql.length);
  return statements;
}

/** Returns the position of the first character of `sql` that is neither space nor comment. */
export function skipComments(sql: string): number {
  let at = 0;
  while (at < sql.length) {
    if (/\s/.test(sql[at] ?? "")) {
      at++;
      continue;
    }
    const end = sql.startsWith("--", at) || sql.startsWith("/*", at) ? skipOpaque(sql, at) : at;
    if (end === at) break;
    at = end;
  }
  return at;
}
