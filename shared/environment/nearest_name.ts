/**
 * Suggestions for misspelled names.
 *
 * @module
 */

/** Returns the number of single-character edits that turn `a` into `b` (Levenshtein distance). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * Returns the known name with the fewest edits from `name`, or `undefined` when each needs more than `maxEdits`.
 *
 * @param maxEdits Default: `Infinity`.
 */
export function nearestName(name: string, known: readonly string[], maxEdits = Infinity): string | undefined {
  let best: string | undefined;
  let least = maxEdits;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < least || (best === undefined && distance === least)) [best, least] = [candidate, distance];
  }
  return best;
}
