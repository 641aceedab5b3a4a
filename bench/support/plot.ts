/**
 * Plots: one panel to a metric, one line to an entrant, a dot at the median, a
 * bar from the first quartile to the third. The axes are logarithmic: what is
 * compared differs by factors.
 *
 * @module
 */
import type { CaseResult, EntrantResult, Results } from "./results.ts";
import type { Summary } from "./statistics.ts";
import { element, type Markup, svgDocument } from "./svg.ts";
import { shown } from "./text.ts";

/** One panel. */
export interface Panel<M extends string> {
  readonly caseId: string;
  readonly metric: M;
  readonly title: string;
}

/** Width of a plot, in pixels. */
export const WIDTH = 860;
const LABELS = 240;
const VALUES = 70;
const ROW = 22;
const HEAD = 40;
const FOOT = 34;

/** Where the panels begin, below the heading, in pixels. */
export const TOP = 76;

/** The look of a plot. */
export const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2937 }
.title { font-size: 18px; font-weight: 600 }
.note, .tick { font-size: 11px; fill: #6b7280 }
.panel { font-size: 14px; font-weight: 600 }
.grid { stroke: #e5e7eb }
.other { fill: #64748b; stroke: #64748b }
.floor { fill: #a8a29e; stroke: #a8a29e }
.ours { fill: #059669; stroke: #059669 }
text.ours { stroke: none; font-weight: 600 }
`;

interface Line {
  readonly entrant: { readonly id: string; readonly title: string };
  readonly summary: Summary;
}

/** Maps a value to a place on a logarithmic axis of whole powers of ten. */
export class LogScale {
  /** The powers of ten that the axis begins and ends with. */
  readonly first: number;
  readonly last: number;
  readonly #from: number;
  readonly #to: number;

  /** An axis for `values`, all above 0, from the place `from` to the place `to`. */
  constructor(values: readonly number[], from: number, to: number) {
    this.first = Math.floor(Math.log10(Math.min(...values)));
    this.last = Math.max(this.first + 1, Math.ceil(Math.log10(Math.max(...values))));
    this.#from = from;
    this.#to = to;
  }

  /** The place of a value. */
  at(value: number): number {
    const part = (Math.log10(value) - this.first) / (this.last - this.first);
    return this.#from + part * (this.#to - this.#from);
  }
}

function styleOf({ id }: Line["entrant"]): string {
  if (id.startsWith("ours")) return "ours";
  return id.startsWith("floor") ? "floor" : "other";
}

function row({ entrant, summary }: Line, y: number, scale: LogScale): Markup {
  const style = styleOf(entrant);
  const text = style === "ours" ? { class: "ours" } : {};
  const { median, low, high } = summary;
  return element(
    "g",
    {},
    element("text", { x: LABELS - 12, y: y + 4, "text-anchor": "end", ...text }, entrant.title),
    element("line", { x1: scale.at(low), x2: scale.at(high), y1: y, y2: y, class: style, "stroke-width": 3 }),
    element("circle", { cx: scale.at(median), cy: y, r: 4.5, class: style }),
    element("text", { x: WIDTH - 12, y: y + 4, "text-anchor": "end", ...text }, shown(median)),
  );
}

function grid(scale: LogScale, top: number, bottom: number): Markup[] {
  return Array.from({ length: scale.last - scale.first + 1 }, (_, index) => {
    const value = 10 ** (scale.first + index);
    const x = scale.at(value);
    return element(
      "g",
      {},
      element("line", { x1: x, x2: x, y1: top, y2: bottom, class: "grid" }),
      element("text", { x, y: bottom + 14, "text-anchor": "middle", class: "tick" }, value.toLocaleString("en")),
    );
  });
}

function panel(title: string, lines: readonly Line[], top: number): Markup {
  const values = lines.flatMap(({ summary }) => [summary.low, summary.median, summary.high]);
  const scale = new LogScale(values, LABELS, WIDTH - VALUES);
  const bottom = top + HEAD + lines.length * ROW;
  return element(
    "g",
    {},
    element("text", { x: 16, y: top + 22, class: "panel" }, title),
    ...grid(scale, top + HEAD - 8, bottom),
    ...lines.map((line, index) => row(line, top + HEAD + index * ROW + 8, scale)),
  );
}

function linesOf<M extends string>(found: CaseResult<M> | undefined, metric: M): Line[] {
  const lines: Line[] = [];
  for (const entrant of found?.entrants ?? []) {
    const summary: EntrantResult<M>["figures"][M] = entrant.figures[metric];
    if (summary && summary.low > 0) lines.push({ entrant, summary });
  }
  return lines;
}

/** The head of a plot: what it shows, and how and where that was measured. */
export function plotHead<M extends string>(title: string, { environment, rounds }: Results<M>, how: string): Markup[] {
  const { cpu, cores, deno, at } = environment;
  return [
    element("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    element("text", { x: 16, y: 30, class: "title" }, title),
    element(
      "text",
      { x: 16, y: 50, class: "note" },
      `Median and middle half of up to ${rounds} interleaved rounds; ${how}. ` +
        `${cpu}, ${cores} cores, Deno ${deno}, ${at.slice(0, 10)}.`,
    ),
  ];
}

/** Those panels whose case was measured, one below the other, and where the last one ends. */
export function plotPanels<M extends string>(
  { cases }: Results<M>,
  panels: readonly Panel<M>[],
): { readonly children: readonly Markup[]; readonly bottom: number } {
  const children: Markup[] = [];
  let bottom = TOP;
  for (const { caseId, metric, title } of panels) {
    const lines = linesOf(cases.find(({ id }) => id === caseId), metric);
    if (lines.length === 0) continue;
    children.push(panel(title, lines, bottom));
    bottom += HEAD + lines.length * ROW + FOOT;
  }
  return { children, bottom };
}

/** A whole plot of panels, an SVG document. */
export function plotResults<M extends string>(title: string, results: Results<M>, panels: readonly Panel<M>[]): string {
  const { children, bottom } = plotPanels(results, panels);
  return svgDocument(WIDTH, bottom, STYLE, [...plotHead(title, results, "logarithmic"), ...children]);
}
