/**
 * The reasons for uncovered lines, in `uncovered.json`: by file, then by the
 * text of the lines. A run of uncovered lines is one entry, with its lines
 * joined by spaces, so that an entry survives edits above it. An uncovered
 * function is an entry by its name: `function detach`.
 *
 * @module
 */
import type { FileCoverage } from "./lcov.ts";

/** Reasons, by the path of the file and the text of the lines. */
export type Reasons = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The beginning of a reason for lines that only some runs cover: these may be covered. */
export const BY_TIMING = "Timing: ";

/** A run of uncovered lines. */
export interface UncoveredRun {
  readonly path: string;
  /** The first line number. */
  readonly line: number;
  /** The lines without indentation, joined by spaces. Lines of brackets alone are left out. */
  readonly text: string;
}

/** Brackets and commas, which are no code of their own. */
const BRACKETS = /^[\s(){}[\];,]*$/;

/** Returns the key of an uncovered function. */
export function functionKey(name: string): string {
  return `function ${name}`;
}

/** Returns the runs of uncovered lines of a file with this source, and its uncovered functions. */
export function uncoveredRuns(
  { path, uncoveredLines, uncoveredFunctions }: FileCoverage,
  source: string,
): UncoveredRun[] {
  const lines = source.split("\n");
  const runs: { path: string; line: number; texts: string[]; last: number }[] = [];
  for (const line of uncoveredLines) {
    const text = (lines[line - 1] ?? "").trim();
    if (BRACKETS.test(text)) continue;
    const previous = runs.at(-1);
    if (previous && previous.last === line - 1) {
      previous.texts.push(text);
      previous.last = line;
    } else runs.push({ path, line, texts: [text], last: line });
  }
  const functions = uncoveredFunctions.map((name) => ({ path, line: 0, text: functionKey(name) }));
  return [...runs.map(({ path, line, texts }) => ({ path, line, text: texts.join(" ") })), ...functions];
}

/**
 * Compares the uncovered runs with the reasons.
 *
 * @returns One line per fault: a run without a reason, or a reason without a run.
 */
export function checkReasons(runs: readonly UncoveredRun[], reasons: Reasons): string[] {
  const faults: string[] = [];
  const used = new Set<string>();
  for (const { path, line, text } of runs) {
    used.add(`${path} ${text}`);
    const reason = reasons[path]?.[text];
    const where = line > 0 ? `${path}:${line}` : path;
    if (reason === undefined || reason.trim() === "") faults.push(`${where} is not covered: ${text}`);
  }
  for (const [path, entries] of Object.entries(reasons)) {
    for (const [text, reason] of Object.entries(entries)) {
      if (used.has(`${path} ${text}`) || reason.startsWith(BY_TIMING)) continue;
      faults.push(`${path} has a reason for lines that are covered or gone, remove it: ${text}`);
    }
  }
  return faults;
}
