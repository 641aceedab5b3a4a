/**
 * The coverage of each folder of `shared/`, and its limits.
 *
 * @module
 */
import { table } from "../../bench/support/text.ts";
import { type Count, type FileCoverage, percent, sumOf } from "./lcov.ts";

/** The least coverage of each folder, in percent. */
export const LIMITS = { functions: 100, lines: 99, branches: 92 } as const;

/** A kind of covered units. */
type Kind = keyof typeof LIMITS;

const KINDS: readonly Kind[] = ["functions", "lines", "branches"];

/** The name of all folders together. */
export const ALL = "all";

/** The coverage of a folder. */
export interface FolderCoverage {
  /** The path from the root, with a slash at its end. */
  readonly folder: string;
  readonly files: number;
  readonly counts: Readonly<Record<Kind, Count>>;
}

/** Returns the folder of `shared/` that a file belongs to: `shared/pool/`, or `shared/` itself. */
export function folderOf(path: string): string {
  const [top = "", folder = "", ...rest] = path.split("/");
  return rest.length === 0 ? `${top}/` : `${top}/${folder}/`;
}

function coverageOf(folder: string, files: readonly FileCoverage[]): FolderCoverage {
  return {
    folder,
    files: files.length,
    counts: {
      functions: sumOf(files.map(({ functions }) => functions)),
      lines: sumOf(files.map(({ lines }) => lines)),
      branches: sumOf(files.map(({ branches }) => branches)),
    },
  };
}

/** Returns the coverage of each folder in alphabetical order, and of all. */
export function byFolder(files: readonly FileCoverage[]): FolderCoverage[] {
  const groups = Object.groupBy(files, ({ path }) => folderOf(path));
  const folders = Object.entries(groups).map(([folder, group = []]) => coverageOf(folder, group));
  return [...folders.sort((a, b) => a.folder < b.folder ? -1 : 1), coverageOf(ALL, files)];
}

/** Shows a percentage with one decimal, rounded down, so that only full coverage is 100. */
function shownPercent(count: Count): string {
  return (Math.floor(percent(count) * 10) / 10).toFixed(1);
}

/** Formats a table of the folders. */
export function folderTable(folders: readonly FolderCoverage[]): string {
  return table([
    ["folder", "files", ...KINDS.map((kind) => `${kind} %`), "uncovered lines"],
    ...folders.map(({ folder, files, counts }) => [
      folder,
      String(files),
      ...KINDS.map((kind) => shownPercent(counts[kind])),
      String(counts.lines.found - counts.lines.hit),
    ]),
  ]);
}

/**
 * Returns one line for each folder and kind below its limit.
 *
 * @param explained Returns how many uncovered functions of a folder have a reason: they count as covered.
 */
export function belowLimits(
  folders: readonly FolderCoverage[],
  explained: (folder: string) => number = () => 0,
): string[] {
  return folders.flatMap(({ folder, counts }) =>
    KINDS.flatMap((kind) => {
      const { hit, found } = counts[kind];
      const count = { hit: hit + (kind === "functions" ? explained(folder) : 0), found };
      if (percent(count) >= LIMITS[kind]) return [];
      return [`${folder} covers ${shownPercent(count)} % of its ${kind}, below ${LIMITS[kind]} %`];
    })
  );
}
