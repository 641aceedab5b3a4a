/**
 * Results as text.
 *
 * @module
 */
import type { Verdict } from "./bars.ts";
import type { Environment } from "./environment.ts";
import type { CaseResult, EntrantResult, Results, Run } from "./results.ts";

/** A column of a table of entrants. */
export interface Column<M extends string> {
  readonly caseId: string;
  readonly metric: M;
  readonly title: string;
}

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

function byId<M extends string>(cases: readonly CaseResult<M>[], id: string): CaseResult<M> | undefined {
  return cases.find((one) => one.id === id);
}

/** The median of an entrant's figures. */
export function medianOf<M extends string>(entrant: EntrantResult<M> | undefined, metric: M): string {
  return shown(entrant?.figures[metric]?.median);
}

/** How many times ours it is. */
export function timesOursOf<M extends string>(entrant: EntrantResult<M> | undefined, metric: M): string {
  return shown(entrant?.figures[metric]?.timesOurs);
}

/** A table of some columns, one line to an entrant, or nothing when none of them was measured. */
export function section<M extends string>(
  title: string,
  { cases }: Results<M>,
  columns: readonly Column<M>[],
  cell: (entrant: EntrantResult<M> | undefined, metric: M) => string,
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

/** The machine and the versions, as two lines. */
export function where({ cpu, cores, os, deno, v8, peers, load }: Environment): string {
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`).join(", ");
  return `${cpu}, ${cores} cores, ${os}, load ${shown(load)}\nDeno ${deno}, V8 ${v8}${versions && `; ${versions}`}\n`;
}

/** Where and how it was measured. */
export function heading({ environment, rounds, quick }: Run): string {
  return where(environment) +
    `${rounds} interleaved rounds${quick ? ", quick" : ""}; medians; ` +
    "a ratio is the median of the rounds' ratios\n\n";
}

/** A bar and how it was met, as the cells of a line. */
export function verdictLine({ what, relation, limit, unit, figure, holds }: Verdict): string[] {
  const verdict = holds === undefined ? "not measured" : holds ? "holds" : "DOES NOT HOLD";
  return [what, `${shown(figure)} ${unit}`, `${relation} ${shown(limit)}`, verdict];
}

/** Which bars hold. */
export function verdicts(bars: readonly Verdict[]): string {
  return `${table([["bar", "measured", "wanted", ""], ...bars.map(verdictLine)])}\n`;
}
