/**
 * Finds avoided words and phrases in text files, by the list in `wording.txt`:
 *
 *     deno run -A tests/ci/wording.ts [path prefix]
 *
 * @module
 */
import { textFiles } from "./text_files.ts";

/** An avoided phrase. */
export interface AvoidedPhrase {
  /** Matches the phrase; has the flag `g`. */
  readonly pattern: RegExp;
  /** The term to use instead. */
  readonly hint: string;
}

/** The contents of a wording list. */
export interface WordingList {
  /** The avoided phrases. */
  readonly phrases: readonly AvoidedPhrase[];
  /** Paths of the files to leave out, relative to the root. */
  readonly except: ReadonlySet<string>;
}

/** One use of an avoided phrase. */
export interface WordingHit {
  /** The file's path, relative to the root. */
  readonly path: string;
  /** The line number, from 1. */
  readonly line: number;
  /** The text that matched, on one line. */
  readonly text: string;
  /** The term to use instead. */
  readonly hint: string;
}

/**
 * Parses a list: per line `/pattern/flags hint`, `except path`, a comment (`#`), or nothing.
 *
 * @throws {SyntaxError} naming the line that is none of these.
 */
export function parseWordingList(text: string): WordingList {
  const phrases: AvoidedPhrase[] = [];
  const except = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, path] = /^except (\S+)$/.exec(line) ?? [];
    if (path !== undefined) {
      except.add(path);
      continue;
    }
    const [, source, flags, hint] = /^\/(.+)\/([a-z]*)\s+(\S.*)$/.exec(line) ?? [];
    if (source === undefined || hint === undefined) throw new SyntaxError(`Invalid line ${index + 1}: ${line}`);
    phrases.push({ pattern: new RegExp(source, `g${flags}`), hint });
  }
  return { phrases, except };
}

/** Returns every use of an avoided phrase in a file's text, in order of the list. */
export function findAvoidedPhrases(path: string, text: string, phrases: readonly AvoidedPhrase[]): WordingHit[] {
  return phrases.flatMap(({ pattern, hint }) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      line: text.slice(0, match.index + match[0].length).split("\n").length,
      text: match[0].replaceAll(/\s+/g, " "),
      hint,
    }))
  );
}

/** Returns every use of an avoided phrase in the text files below `root`. */
export async function findWordingHits(root: URL): Promise<WordingHit[]> {
  const { phrases, except } = parseWordingList(await Deno.readTextFile(new URL("wording.txt", import.meta.url)));
  const hits: WordingHit[] = [];
  for await (const path of textFiles(root)) {
    if (except.has(path)) continue;
    hits.push(...findAvoidedPhrases(path, await Deno.readTextFile(new URL(path, root)), phrases));
  }
  return hits.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line);
}

/** Formats hits for people, one a line. */
export function formatHits(hits: readonly WordingHit[]): string {
  return hits.map(({ path, line, text, hint }) => `${path}:${line} "${text}": ${hint}`).join("\n");
}

if (import.meta.main) {
  const [prefix = ""] = Deno.args;
  const hits = await findWordingHits(new URL("../../", import.meta.url));
  const wanted = hits.filter(({ path }) => path.startsWith(prefix));
  if (wanted.length > 0) console.log(formatHits(wanted));
  console.log(`${wanted.length} hits`);
}
