/**
 * The results as text.
 *
 * @module
 */
import type { Verdict } from "./bars.ts";
import type { Metric } from "./cases/mod.ts";
import type { Environment } from "./environment.ts";
import type { CaseResult, EntrantResult, Results } from "./results.ts";

interface Column {
  readonly caseId: string;
  readonly metric: Metric;
  readonly title: string;
}

const MAIN: readonly Column[] = [
  { caseId: "one", metric: "ns", title: "one caller" },
  { caseId: "callers", metric: "ns", title: "100 callers" },
  { caseId: "crowd_10k", metric: "ns", title: "10k waiters" },
  { caseId: "crowd_100k", metric: "ns", title: "100k waiters" },
  { caseId: "bytes", metric: "bytes", title: "bytes per op" },
];

const EXPIRY: readonly Column[] = ["10k", "50k"].flatMap((crowd) => [
  { caseId: `expiry_${crowd}`, metric: "ns", title: `${crowd}: ns each` },
  { caseId: `expiry_${crowd}`, metric: "longestTickMs", title: "longest tick ms" },
  { caseId: `expiry_${crowd}`, metric: "retainedBytes", title: "bytes kept" },
]);

const SYNC: readonly Column[] = [{ caseId: "sync", metric: "ns", title: "ns" }];
const RETENTION: readonly Column[] = [{ caseId: "retention", metric: "retainedBytes", title: "bytes kept" }];

/** A number with a sensible number of digits; a dash for none. */
export function shown(value: number | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Lines of a table; the first column is text, the others are numbers. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => widths[index] = Math.max(widths[index] ?? 0, cell.length));
  return rows.map((row) =>
    row.map((cell, index) => index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

function byId(cases: readonly CaseResult[], id: string): CaseResult | undefined {
  return cases.find((one) => one.id === id);
}

/** A table of some columns, or nothing when none of them was measured. */
function section(
  title: string,
  { cases }: Results,
  columns: readonly Column[],
  cell: (entrant: EntrantResult | undefined, metric: Metric) => string,
): string {
  const measured = columns.filter(({ caseId }) => byId(cases, caseId));
  const entrants = new Map<string, string>();
  for (const { caseId } of measured) {
    for (const entrant of byId(cases, caseId)?.entrants ?? []) entrants.set(entrant.id, entrant.title);
  }
  if (entrants.size === 0) return "";
  const rows = [[title, ...measured.map((column) => column.title)]];
  for (const [id, name] of entrants) {
    rows.push([
      name,
      ...measured.map(({ caseId, metric }) =>
        cell(byId(cases, caseId)?.entrants.find((entrant) => entrant.id === id), metric)
      ),
    ]);
  }
  return `${table(rows)}\n\n`;
}

function where({ cpu, cores, os, deno, v8, peers, load }: Environment): string {
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`).join(", ");
  return `${cpu}, ${cores} cores, ${os}, load ${shown(load)}\nDeno ${deno}, V8 ${v8}; ${versions}\n`;
}

function verdictLine({ what, relation, limit, unit, figure, holds }: Verdict): string[] {
  const verdict = holds === undefined ? "not measured" : holds ? "holds" : "DOES NOT HOLD";
  return [what, `${shown(figure)} ${unit}`, `${relation} ${shown(limit)}`, verdict];
}

/** Everything, for a terminal. */
export function report(results: Results): string {
  const figure = (entrant: EntrantResult | undefined, metric: Metric) => shown(entrant?.figures[metric]?.median);
  const times = (entrant: EntrantResult | undefined, metric: Metric) => shown(entrant?.figures[metric]?.timesOurs);
  const verdicts = table([["bar", "measured", "wanted", ""], ...results.bars.map(verdictLine)]);
  return where(results.environment) +
    `${results.rounds} interleaved rounds${results.quick ? ", quick" : ""}; medians; ` +
    "a ratio is the median of the rounds' ratios\n\n" +
    section("ns per acquire and release", results, MAIN, figure) +
    section("times ours", results, MAIN, times) +
    section("a crowd expires at once", results, EXPIRY, figure) +
    section("without waiting", results, SYNC, figure) +
    section("after 1,000,000 leases", results, RETENTION, figure) +
    `${verdicts}\n`;
}
