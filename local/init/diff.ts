/**
 * Unified diffs.
 *
 * @module
 */

/** A line that both texts have, that only the old has, or that only the new has. */
interface Line {
  readonly kind: " " | "-" | "+";
  readonly text: string;
}

/** The number of equal lines around a change. */
const CONTEXT = 3;

/** The sizes above which a change is shown as one block: the table of the comparison would be too large. */
const MAX_CELLS = 4_000_000;

/** Compares the lines by their longest common subsequence. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  const limit = Math.min(before.length, after.length) - head;
  while (tail < limit && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const a = before.slice(head, before.length - tail);
  const b = after.slice(head, after.length - tail);
  const equal = (texts: readonly string[]): Line[] => texts.map((text) => ({ kind: " ", text }));
  return [
    ...equal(before.slice(0, head)),
    ...middle(a, b),
    ...equal(before.slice(before.length - tail)),
  ];
}

function middle(a: readonly string[], b: readonly string[]): Line[] {
  const removed = (text: string): Line => ({ kind: "-", text });
  const added = (text: string): Line => ({ kind: "+", text });
  if (a.length * b.length > MAX_CELLS || a.length === 0 || b.length === 0) return [...a.map(removed), ...b.map(added)];
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: " ", text: a[i++] ?? "" });
      j++;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) lines.push(removed(a[i++] ?? ""));
    else lines.push(added(b[j++] ?? ""));
  }
  return lines;
}

const NO_NEWLINE = "\\ No newline at end of file";

/** Returns the lines of a text; a text that does not end in a line break has a mark after its last line. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  else lines.push(`${lines.pop()}\n${NO_NEWLINE}`);
  return lines;
}

function range(start: number, count: number): string {
  return count === 1 ? `${start}` : `${count === 0 ? start - 1 : start},${count}`;
}

/**
 * Returns the unified diff of two texts, with the paths in its head.
 *
 * @param before The old text; `undefined` for a new file.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  const lines = compare(linesOf(before ?? ""), linesOf(after));
  const out = [`--- ${before === undefined ? "/dev/null" : `a/${path}`}`, `+++ b/${path}`];
  const changed = lines.flatMap(({ kind }, index) => kind === " " ? [] : [index]);
  let old = 1;
  let next = 1;
  let at = 0;
  for (let c = 0; c < changed.length;) {
    const start = Math.max((changed[c] ?? 0) - CONTEXT, 0);
    let end = (changed[c] ?? 0) + CONTEXT + 1;
    for (c++; c < changed.length && (changed[c] ?? 0) - CONTEXT <= end; c++) end = (changed[c] ?? 0) + CONTEXT + 1;
    for (; at < start; at++, old++, next++);
    const hunk = lines.slice(start, end);
    const removed = hunk.filter(({ kind }) => kind !== "+").length;
    const added = hunk.filter(({ kind }) => kind !== "-").length;
    out.push(`@@ -${range(old, removed)} +${range(next, added)} @@`, ...hunk.map(({ kind, text }) => kind + text));
    old += removed;
    next += added;
    at = Math.min(end, lines.length);
  }
  return `${out.join("\n").replaceAll("\r\n", "\n")}\n`;
}
