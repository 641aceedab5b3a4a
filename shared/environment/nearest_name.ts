/**
 * What somebody who mistyped a name most likely meant.
 *
 * @module
 */

/** How many single-character edits turn `a` into `b` (Levenshtein distance). */
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

/** The one of `known` that is the fewest edits from `name`; `undefined` when each is more than `most` away. */
export function nearestName(name: string, known: readonly string[], most = Infinity): string | undefined {
  let best: string | undefined;
  let least = most;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < least || (best === undefined && distance === least)) [best, least] = [candidate, distance];
  }
  return best;
}
