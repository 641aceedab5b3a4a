/**
 * Files of environment variables, parsed as the Supabase CLI parses them.
 *
 * @module
 */

/** The content of a file of environment variables. */
export interface EnvFile {
  /** The variables by name. */
  readonly variables: Readonly<Record<string, string>>;
  /** The numbers of the lines that are neither blank, a comment nor part of `NAME=value`. */
  readonly strayLines: readonly number[];
  /** The numbers of the lines whose quote is not closed: the value is the rest of the line, with the quote. */
  readonly unclosedLines: readonly number[];
}

const NAME = /^[\w.-]+$/;
const QUOTES = `"'\``;

/**
 * Replaces `$NAME` and `${NAME}`. As for the CLI, a name has capitals, digits and `_`; one that is not set is empty;
 * `\$` stands for `$`.
 */
function expand(value: string, variables: Readonly<Record<string, string>>): string {
  return value.replaceAll(
    /\\(\$)|\$\{([A-Z0-9_]+)\}|\$([A-Z0-9_]+)/g,
    (_, dollar?: string, braced?: string, bare?: string) => dollar ?? variables[braced ?? bare ?? ""] ?? "",
  );
}

function unescape(value: string): string {
  return value.replaceAll(
    /\\([nrt"\\])/g,
    (_, char: string) => ({ n: "\n", r: "\r", t: "\t" } as Record<string, string>)[char] ?? char,
  );
}

/** Parses `text`. A later variable of the same name replaces an earlier one. */
export function parseEnvFile(text: string): EnvFile {
  const variables: Record<string, string> = {};
  const strayLines: number[] = [];
  const unclosedLines: number[] = [];
  const lines = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = (lines[at] ?? "").trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, key = "", text = ""] = /^(?:export\s)?([^=]*)=(.*)$/.exec(line) ?? [];
    const [name, rest] = [key.trim(), text.trimStart()];
    if (!NAME.test(name)) {
      strayLines.push(at + 1);
      continue;
    }
    const quote = QUOTES.includes(rest.charAt(0)) ? rest.charAt(0) : "";
    const quoted = quote === "" ? undefined : readQuoted(lines, at, rest, quote);
    if (!quoted) {
      if (quote !== "") unclosedLines.push(at + 1);
      variables[name] = expand(withoutComment(rest), variables);
      continue;
    }
    at = quoted.last;
    variables[name] = quote === '"' ? expand(unescape(quoted.value), variables) : quoted.value;
  }
  return { variables, strayLines, unclosedLines };
}

function withoutComment(value: string): string {
  const at = value.search(/(?:^|\s)#/);
  return (at < 0 ? value : value.slice(0, at)).trim();
}

/** Reads a quoted value, which may span several lines; `undefined` if the quote is not closed. */
function readQuoted(
  lines: readonly string[],
  first: number,
  rest: string,
  quote: string,
): { value: string; last: number } | undefined {
  let value = rest.slice(1);
  for (let last = first;; value += `\n${lines[++last]}`) {
    const end = closingQuote(value, quote);
    if (end >= 0) return { value: value.slice(0, end), last };
    if (last + 1 >= lines.length) return undefined;
  }
}

function closingQuote(value: string, quote: string): number {
  for (let at = value.indexOf(quote); at >= 0; at = value.indexOf(quote, at + 1)) {
    // Only double quotes know escapes.
    let backslashes = 0;
    while (value[at - backslashes - 1] === "\\") backslashes++;
    if (quote !== '"' || backslashes % 2 === 0) return at;
  }
  return -1;
}
