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

/** The next word, quote, parenthesis, semicolon or comment. */
const TOKEN = /[\p{L}\p{N}_][\p{L}\p{N}_$]*|['"$();]|--|\/\*/gu;
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;

/** Returns the end of a string or a name in quotes that begins at `at`. A doubled quote does not end it. */
function skipQuoted(sql: string, at: number): number {
  const quote = sql[at] ?? "";
  for (let next = at + 1;;) {
    const end = sql.indexOf(quote, next);
    if (end < 0) return sql.length;
    if (sql[end + 1] !== quote) return end + 1;
    next = end + 2;
  }
}

/** Returns the end of a string with backslashes whose quote is at `at`. */
function skipEscaped(sql: string, at: number): number {
  for (let next = at + 1; next < sql.length; next++) {
    if (sql[next] === "\\") next++;
    else if (sql[next] === "'") {
      if (sql[next + 1] !== "'") return next + 1;
      next++;
    }
  }
  return sql.length;
}

/** Returns the end of a comment between slashes and stars, which may contain others. */
function skipBlockComment(sql: string, at: number): number {
  const edges = /\/\*|\*\//g;
  edges.lastIndex = at;
  let depth = 0;
  for (let edge = edges.exec(sql); edge !== null; edge = edges.exec(sql)) {
    depth += edge[0] === "/*" ? 1 : -1;
    if (depth === 0) return edges.lastIndex;
  }
  return sql.length;
}

function skipLine(sql: string, at: number): number {
  const end = sql.indexOf("\n", at);
  return end < 0 ? sql.length : end + 1;
}

/** Returns the end of a string in dollar quotes that begins at `at`; `at` if none does. */
function skipDollarQuoted(sql: string, at: number): number {
  DOLLAR_QUOTE.lastIndex = at;
  const tag = DOLLAR_QUOTE.exec(sql)?.[0];
  if (tag === undefined) return at;
  const end = sql.indexOf(tag, at + tag.length);
  return end < 0 ? sql.length : end + tag.length;
}

interface Token {
  readonly kind: "word" | "symbol" | "string" | "dollar" | "comment";
  readonly start: number;
  readonly end: number;
}

/** Returns the next token at or after `from`; `undefined` at the end. Names in quotes count as words. */
function nextToken(sql: string, from: number): Token | undefined {
  TOKEN.lastIndex = from;
  const found = TOKEN.exec(sql);
  if (!found) return undefined;
  const [start, text] = [found.index, found[0]];
  const token = (kind: Token["kind"], end: number): Token => ({ kind, start, end });
  switch (text) {
    case "'":
      return token("string", skipQuoted(sql, start));
    case '"':
      return token("word", skipQuoted(sql, start));
    case "--":
      return token("comment", skipLine(sql, start));
    case "/*":
      return token("comment", skipBlockComment(sql, start));
    case "$": {
      const end = skipDollarQuoted(sql, start);
      return end > start ? token("dollar", end) : token("symbol", start + 1);
    }
    case "(":
    case ")":
    case ";":
      return token("symbol", start + 1);
    case "e":
    case "E":
      if (sql[start + 1] === "'") return token("string", skipEscaped(sql, start + 1));
  }
  return token("word", start + text.length);
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
  let begin = -1;
  const add = (end: number) => {
    const piece = sql.slice(start, end);
    let length = piece.trimEnd().length;
    while (piece[length - 1] === ";") length = piece.slice(0, length - 1).trimEnd().length;
    const text = piece.slice(0, length).trimStart();
    if (text !== "") statements.push({ text, offset: start + (piece.length - piece.trimStart().length) });
  };
  for (let token = nextToken(sql, 0); token !== undefined; token = nextToken(sql, token.end)) {
    if (token.kind === "word" && token.end - token.start <= 6) {
      const word = sql.slice(token.start, token.end).toLowerCase();
      if (word === "atomic" && begin >= 0 && sql.slice(begin, token.start).trim() === "") atomic++;
      else if (atomic > 0 && word === "case") atomic++;
      else if (atomic > 0 && word === "end") atomic--;
      if (word === "begin") begin = token.end;
    } else if (token.kind === "symbol") {
      const symbol = sql[token.start];
      if (symbol === "(") parentheses++;
      else if (symbol === ")") parentheses = Math.max(0, parentheses - 1);
      else if (symbol === ";" && parentheses === 0 && atomic === 0) {
        add(token.start);
        start = token.end;
      }
    }
  }
  add(sql.length);
  return statements;
}

/** A part of a statement: `code` is all that is neither a string nor a comment. */
export interface Part {
  /** Its kind. */
  readonly kind: "code" | "string" | "dollar" | "comment";
  /** Its text. */
  readonly text: string;
}

/** Returns the parts of `sql`, which together are `sql`. */
export function partsOf(sql: string): Part[] {
  const parts: Part[] = [];
  let done = 0;
  for (let token = nextToken(sql, 0); token !== undefined; token = nextToken(sql, token.end)) {
    if (token.kind === "word" || token.kind === "symbol") continue;
    if (token.start > done) parts.push({ kind: "code", text: sql.slice(done, token.start) });
    parts.push({ kind: token.kind, text: sql.slice(token.start, token.end) });
    done = token.end;
  }
  if (done < sql.length) parts.push({ kind: "code", text: sql.slice(done) });
  return parts;
}

/** Returns `sql` with a space for each comment. */
export function withoutComments(sql: string): string {
  if (!sql.includes("--") && !sql.includes("/*")) return sql;
  return partsOf(sql).map(({ kind, text }) => kind === "comment" ? " " : text).join("");
}

/** Returns the position of the first character of `sql` that is neither space nor comment. */
export function skipComments(sql: string): number {
  const space = /\s*/y;
  for (let at = 0;;) {
    space.lastIndex = at;
    at += space.exec(sql)?.[0].length ?? 0;
    if (sql.startsWith("--", at)) at = skipLine(sql, at);
    else if (sql.startsWith("/*", at)) at = skipBlockComment(sql, at);
    else return at;
  }
}

const ROWS = new Set(["insert", "update", "delete", "merge", "select", "with", "values", "table"]);

/** Returns the first word of a statement, in lower case. */
export function firstWord(sql: string): string {
  const at = skipComments(sql);
  return /^[a-z_]*/i.exec(sql.slice(at, at + 30))?.[0].toLowerCase() ?? "";
}

/** Returns whether a statement reads or writes rows: its strings are data. */
export function hasRows(sql: string): boolean {
  return ROWS.has(firstWord(sql));
}
