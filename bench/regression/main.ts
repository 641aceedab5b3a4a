/**
 * `deno task bench:regression`: compares this checkout with an earlier one and
 * prints, for each operation, how much slower or faster it has become.
 *
 * - Both versions run in one process, in slices of some 20 ms: before, after,
 *   after, before, and in the next round the other way around. What the machine
 *   does meanwhile falls on both alike.
 * - A ratio is the median of the rounds' ratios. Its interval contains the true
 *   median with a probability of 95 %.
 * - Times are processor time, which other programs change less than elapsed
 *   time. The ratio of elapsed times is in the last column.
 * - Rounds are spread over several processes, because the compiler's decisions
 *   differ from one process to the next.
 *
 * @module
 */
import { BenchDatabase } from "../postgres/database.ts";
import { startChild } from "../support/child.ts";
import { environment } from "../support/environment.ts";
import { parseCases, parseFlags, parseRounds, UsageError } from "../support/options.ts";
import { median, medianInterval } from "../support/statistics.ts";
import { shown, table, where } from "../support/text.ts";
import type { Side } from "./checkout.ts";
import { measureColdStarts } from "./cold_start_case.ts";
import type { Series } from "./work.ts";

/** All cases. */
export const CASE_IDS = ["pool", "handler", "postgres", "cold_start"] as const;

type CaseId = (typeof CASE_IDS)[number];

/** The maximum ratio of after to before. */
export const MAX_RATIO = 1.03;

const PROCESSES = 3;
const WARM_UPS = 6;

/** The text of `--help`. */
export const HELP = `Usage: deno task bench:regression --before <checkout> [options]

Compares this checkout with an earlier one, both in one process, in interleaved
slices, and prints the ratio of each operation's cost: above 1 it has become
slower. Only entry points that both versions have are used.

  --before <path>  A checkout of the earlier version, e.g. a git worktree
  --after <path>   The later version (default this checkout)
  --case <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --rounds <n>     The number of rounds (default 15, quick 3)
  --quick          Few rounds in one process; for a first look
  --out <folder>   Also write regression.json there
  --strict         Exit with 1 when an operation is slower than ${MAX_RATIO} times the earlier version
  --help           Print this

Example:
  git worktree add ../before v1.0.0
  deno task bench:regression --before ../before --case pool,handler
`;

/** The options of a run. */
export interface RegressionOptions {
  readonly help: boolean;
  readonly quick: boolean;
  readonly strict: boolean;
  readonly before: string;
  readonly after: string;
  readonly cases: readonly CaseId[];
  readonly rounds: number;
  readonly out: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws {UsageError} naming the argument that is not understood.
 */
export function parseRegressionOptions(args: readonly string[]): RegressionOptions {
  const values = parseFlags(args, {
    before: { type: "string" },
    after: { type: "string" },
    case: { type: "string" },
    rounds: { type: "string" },
    out: { type: "string" },
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  const { help, quick, strict, out } = values;
  const root = new URL("../..", import.meta.url).pathname;
  if (!help && values.before === undefined) throw new UsageError("--before is required: the path of a checkout");
  const resolve = (path: string) => new URL(path, `file://${Deno.cwd()}/`).pathname;
  return {
    help,
    quick,
    strict,
    before: resolve(values.before ?? root),
    after: resolve(values.after ?? root),
    cases: values.case === undefined ? CASE_IDS : parseCases(values.case, CASE_IDS),
    rounds: values.rounds === undefined ? quick ? 3 : 15 : parseRounds(values.rounds),
    out,
  };
}

/** The comparison of one operation. */
export interface Comparison {
  readonly case: string;
  readonly id: string;
  readonly title: string;
  readonly unit: Series["unit"];
  readonly before: number;
  readonly after: number;
  /** After to before: the median of the rounds' ratios. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** The ratio of elapsed times; `NaN` for bytes. */
  readonly wallRatio: number;
  readonly rounds: number;
}

/** Compares the two sides of a series. */
export function compare(caseId: string, { id, title, unit, samples }: Series): Comparison {
  const ratios = samples.map(({ before, after }) => after / before);
  const [low, high] = medianInterval(ratios);
  return {
    case: caseId,
    id,
    title,
    unit,
    before: median(samples.map(({ before }) => before)),
    after: median(samples.map(({ after }) => after)),
    ratio: median(ratios),
    low,
    high,
    wallRatio: median(samples.map(({ wallBefore, wallAfter }) => wallAfter / wallBefore)),
    rounds: samples.length,
  };
}

/** Returns true if an operation is slower than {@linkcode MAX_RATIO} allows, and not by chance. */
export function isSlower({ ratio, low }: Comparison): boolean {
  return ratio > MAX_RATIO && low > 1;
}

/** Returns the comparisons as a table. */
export function reportComparisons(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map((one) => {
    const result = isSlower(one) ? "SLOWER" : one.ratio < 1 && one.high < 1 ? "faster" : "";
    const fixed = (value: number) => Number.isNaN(value) ? "–" : value.toFixed(3);
    return [
      `${one.case}: ${one.title}`,
      `${shown(one.before)} ${one.unit}`,
      `${shown(one.after)} ${one.unit}`,
      fixed(one.ratio),
      `${fixed(one.low)}–${fixed(one.high)}`,
      fixed(one.wallRatio),
      result,
    ];
  });
  return `${table([["", "before", "after", "ratio", "95 % interval", "elapsed", ""], ...rows])}\n`;
}

const MEASURE = new URL("measure.ts", import.meta.url);

/** Writes the import map of both versions to a file: the earlier one may need packages that the later one does not. */
async function writeImportMap(before: string, after: string): Promise<string> {
  const read = async (root: string) => JSON.parse(await Deno.readTextFile(`${root}/import_map.json`)).imports;
  const imports = { ...await read(before), ...await read(after) };
  const path = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(path, JSON.stringify({ imports }));
  return path;
}

/** Measures a case in several processes, one after the other, and joins their samples. */
async function measureInProcesses(
  caseId: Exclude<CaseId, "cold_start">,
  { before, after, quick, rounds }: RegressionOptions,
  login: string,
): Promise<Series[]> {
  const processes = quick ? 1 : Math.min(PROCESSES, rounds);
  const joined = new Map<string, Series>();
  const importMap = await writeImportMap(before, after);
  const flags = ["-A", "--v8-flags=--expose-gc", "--no-lock", "--import-map", importMap];
  try {
    for (let left = processes, open = rounds; left > 0; left--) {
      const share = Math.ceil(open / left);
      open -= share;
      const args = [caseId, before, after, String(quick ? 2 : WARM_UPS), String(share), login];
      await using child = startChild(MEASURE, flags, args);
      for (const series of JSON.parse(await child.line()) as Series[]) {
        const samples = [...joined.get(series.id)?.samples ?? [], ...series.samples];
        joined.set(series.id, { ...series, samples });
      }
    }
  } finally {
    await Deno.remove(importMap);
  }
  return [...joined.values()];
}

async function measureCase(caseId: CaseId, options: RegressionOptions): Promise<Series[]> {
  if (caseId === "cold_start") {
    const roots: Record<Side, string> = { before: options.before, after: options.after };
    return await measureColdStarts(roots, options.rounds);
  }
  if (caseId !== "postgres") return await measureInProcesses(caseId, options, "");
  await using database = await BenchDatabase.start();
  return await measureInProcesses(caseId, options, JSON.stringify([database.owner, database.authenticator]));
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseRegressionOptions(args);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const here = environment([]);
  console.log(`${where(here)}before ${options.before}\nafter  ${options.after}\n`);
  const comparisons: Comparison[] = [];
  for (const caseId of options.cases) {
    const found = (await measureCase(caseId, options)).map((series) => compare(caseId, series));
    console.log(reportComparisons(found));
    comparisons.push(...found);
  }
  if (options.out !== undefined) {
    await Deno.mkdir(options.out, { recursive: true });
    const { rounds, quick } = options;
    const results = { environment: here, rounds, quick, comparisons };
    await Deno.writeTextFile(`${options.out}/regression.json`, `${JSON.stringify(results, undefined, 2)}\n`);
  }
  return options.strict && comparisons.some(isSlower) ? 1 : 0;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
