/**
 * Reads lcov, the format that `deno coverage --lcov` writes.
 *
 * @module
 */

/** Covered and all units: lines, branches or functions. */
export interface Count {
  readonly hit: number;
  readonly found: number;
}

/** The coverage of a source file. */
export interface FileCoverage {
  /** The path from the root. */
  readonly path: string;
  readonly lines: Count;
  readonly branches: Count;
  readonly functions: Count;
  /** The numbers of the uncovered lines, ascending. */
  readonly uncoveredLines: readonly number[];
  /** The names of the uncovered functions. */
  readonly uncoveredFunctions: readonly string[];
}

/** Counts the values that are above 0. */
function countOf(values: Iterable<number>): Count {
  const all = [...values];
  return { hit: all.filter((value) => value > 0).length, found: all.length };
}

function parseRecord(record: string, root: string): FileCoverage | undefined {
  let path: string | undefined;
  const lines = new Map<number, number>();
  const branches: number[] = [];
  const functions: { readonly name: string; readonly hits: number }[] = [];
  for (const text of record.split("\n")) {
    const at = text.indexOf(":");
    const [key, value] = [text.slice(0, at), text.slice(at + 1)];
    const parts = value.split(",");
    if (key === "SF") path = value.startsWith(root) ? value.slice(root.length) : value;
    else if (key === "DA") lines.set(Number(parts[0]), Number(parts[1]));
    else if (key === "BRDA") branches.push(parts[3] === "-" ? 0 : Number(parts[3]));
    else if (key === "FNDA") functions.push({ name: parts.slice(1).join(","), hits: Number(parts[0]) });
  }
  if (path === undefined) return undefined;
  return {
    path,
    lines: countOf(lines.values()),
    branches: countOf(branches),
    functions: countOf(functions.map(({ hits }) => hits)),
    uncoveredLines: [...lines].filter(([, hits]) => hits === 0).map(([line]) => line).sort((a, b) => a - b),
    uncoveredFunctions: functions.filter(({ hits }) => hits === 0).map(({ name }) => name),
  };
}

/** Parses lcov. Paths below `root`, which ends with a slash, become relative to it. */
export function parseLcov(text: string, root: string): FileCoverage[] {
  return text.split("end_of_record").flatMap((record) => parseRecord(record, root) ?? []);
}

/** Adds counts. */
export function sumOf(counts: readonly Count[]): Count {
  return counts.reduce((sum, { hit, found }) => ({ hit: sum.hit + hit, found: sum.found + found }), {
    hit: 0,
    found: 0,
  });
}

/** Returns the percentage of covered units, 100 when there are none. */
export function percent({ hit, found }: Count): number {
  return found === 0 ? 100 : hit / found * 100;
}
