/**
 * Reports: results as text.
 *
 * @module
 */
import type { TargetResult } from "./targets.ts";
import type { Environment } from "./environment.ts";
import type { CandidateResult, CaseResult, Results, Run } from "./results.ts";

/** A column of a table of candidates. */
export interface Column<M extends string> {
  readonly caseId: string;
  readonly metric: M;
  readonly title: string;
}

/** Formats a number with up to two decimals, fewer for large ones; a dash for none. */
export function shown(value: number | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Formats a count without decimals, and another number like {@linkcode shown}. */
export function shownFigure(value: number | null | undefined): string {
  return Number.isInteger(value) ? shown(value).replace(/\.0+$/, "") : shown(value);
}

/** Formats the rows of a table. The first column is text, the others are numbers. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => widths[index] = Math.max(widths[index] ?? 0, cell.length));
  return rows.map((row) =>
    row.map((cell, index) => index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

function byId<M extends string>(cases: readonly CaseResult<M>[], id: string): CaseResult<M> | undefined {
  return cases.find((one) => one.id === id);
}

/** Formats the median of a candidate's values. */
export function medianOf<M extends string>(candidate: CandidateResult<M> | undefined, metric: M): string {
  return shown(candidate?.measured[metric]?.median);
}

/** Formats the ratio of a candidate's value to ours. */
export function timesOursOf<M extends string>(candidate: CandidateResult<M> | undefined, metric: M): string {
  return shown(candidate?.measured[metric]?.timesOurs);
}

/** Formats a table with one row per candidate; empty when no column was measured. */
export function section<M extends string>(
  title: string,
  { cases }: Results<M>,
  columns: readonly Column<M>[],
  cell: (candidate: CandidateResult<M> | undefined, metric: M) => string,
): string {
  const measured = columns.filter(({ caseId }) => byId(cases, caseId));
  const candidates = new Map<string, string>();
  for (const { caseId } of measured) {
    for (const candidate of byId(cases, caseId)?.candidates ?? []) candidates.set(candidate.id, candidate.title);
  }
  if (candidates.size === 0) return "";
  const rows = [[title, ...measured.map((column) => column.title)]];
  for (const [id, name] of candidates) {
    rows.push([
      name,
      ...measured.map(({ caseId, metric }) =>
        cell(byId(cases, caseId)?.candidates.find((candidate) => candidate.id === id), metric)
      ),
    ]);
  }
  return `${table(rows)}\n\n`;
}

/** Formats the machine and the versions as two lines. */
export function where({ cpu, cores, os, deno, v8, postgres, peers, load }: Environment): string {
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`).join(", ");
  return `${cpu}, ${cores} cores, ${os}, load ${shown(load)}\nDeno ${deno}, V8 ${v8}${
    postgres === undefined ? "" : `, PostgreSQL ${postgres}`
  }${versions && `; ${versions}`}\n`;
}

/** Formats the circumstances of a run. */
export function heading({ environment, rounds, quick }: Run): string {
  return where(environment) +
    `${rounds} interleaved rounds${quick ? ", quick" : ""}; medians; ` +
    "a ratio is the median of the rounds' ratios\n\n";
}

/** Formats a target and its result as the cells of a row. */
export function targetLine({ what, relation, limit, unit, value, met }: TargetResult): string[] {
  const result = met === undefined ? "not measured" : met ? "met" : "MISSED";
  return [what, `${shown(value)} ${unit}`, `${relation} ${shown(limit)}`, result];
}

/** Formats a table of the targets and their results. */
export function targetTable(targets: readonly TargetResult[]): string {
  return `${table([["target", "measured", "limit", ""], ...targets.map(targetLine)])}\n`;
}
