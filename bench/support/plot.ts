/**
 * Plots with one panel per metric and one row per candidate: a dot at the
 * median and a line from the first to the third quartile. The axes are
 * logarithmic, because candidates differ by factors.
 *
 * @module
 */
import type { CandidateResult, CaseResult, Results } from "./results.ts";
import type { Summary } from "./statistics.ts";
import { element, type Markup, svgDocument } from "./svg.ts";
import { shown } from "./text.ts";

/** A panel of a plot. */
export interface Panel<M extends string> {
  readonly caseId: string;
  readonly metric: M;
  readonly title: string;
}

/** The width of a plot, in pixels. */
export const WIDTH = 860;
const LABELS = 240;
const VALUES = 70;
const ROW = 22;
const HEAD = 40;
const FOOT = 34;

/** The top of the first panel, in pixels. */
export const TOP = 76;

/** The CSS of a plot. */
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
  readonly candidate: { readonly id: string; readonly title: string };
  readonly summary: Summary;
}

/** A logarithmic axis that begins and ends at powers of ten. */
export class LogScale {
  /** The exponents of the first and the last power of ten. */
  readonly first: number;
  readonly last: number;
  readonly #from: number;
  readonly #to: number;

  /** Creates an axis for `values`, all above 0, between the coordinates `from` and `to`. */
  constructor(values: readonly number[], from: number, to: number) {
    this.first = Math.floor(Math.log10(Math.min(...values)));
    this.last = Math.max(this.first + 1, Math.ceil(Math.log10(Math.max(...values))));
    this.#from = from;
    this.#to = to;
  }

  /** Returns the coordinate of a value. */
  at(value: number): number {
    const part = (Math.log10(value) - this.first) / (this.last - this.first);
    return this.#from + part * (this.#to - this.#from);
  }
}

function styleOf({ id }: Line["candidate"]): string {
  if (id.startsWith("ours")) return "ours";
  return id.startsWith("floor") ? "floor" : "other";
}

function row({ candidate, summary }: Line, y: number, scale: LogScale): Markup {
  const style = styleOf(candidate);
  const text = style === "ours" ? { class: "ours" } : {};
  const { median, low, high } = summary;
  return element(
    "g",
    {},
    element("text", { x: LABELS - 12, y: y + 4, "text-anchor": "end", ...text }, candidate.title),
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
  for (const candidate of found?.candidates ?? []) {
    const summary: CandidateResult<M>["measured"][M] = candidate.measured[metric];
    if (summary && summary.low > 0) lines.push({ candidate, summary });
  }
  return lines;
}

/** Draws the heading of a plot, with the circumstances of the run. */
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

/** Draws the panels whose case was measured, and returns the bottom of the last one. */
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

/** Draws a plot of panels as an SVG document. */
export function plotResults<M extends string>(title: string, results: Results<M>, panels: readonly Panel<M>[]): string {
  const { children, bottom } = plotPanels(results, panels);
  return svgDocument(WIDTH, bottom, STYLE, [...plotHead(title, results, "logarithmic"), ...children]);
}

/** The axes of a panel over time. */
export interface TimeAxes {
  /** The edges of the panel, in pixels. */
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
  /** The largest value, and the time at the right edge, in ms. */
  readonly most: number;
  readonly lastMs: number;
  /** The position of a time and of a value, in pixels. */
  readonly x: (atMs: number) => number;
  readonly y: (value: number) => number;
  /** Returns the label of a time. */
  readonly timeLabel: (atMs: number) => string;
}

/** Returns the grid of a panel over time, with its labels at the beginning, in the middle and at the end. */
export function timeGrid({ left, right, bottom, most, lastMs, x, y, timeLabel }: TimeAxes): Markup[] {
  return [0, 0.5, 1].flatMap((part) => [
    element("line", { x1: left, x2: right, y1: y(most * part), y2: y(most * part), class: "grid" }),
    element("text", { x: left - 8, y: y(most * part) + 4, "text-anchor": "end", class: "tick" }, shown(most * part)),
    element(
      "text",
      { x: x(lastMs * part), y: bottom + 16, "text-anchor": "middle", class: "tick" },
      timeLabel(lastMs * part),
    ),
  ]);
}
