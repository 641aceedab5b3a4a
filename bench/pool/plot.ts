/**
 * The results as a plot: one panel to a case, one line to a contender, a dot at
 * the median, a bar from the first quartile to the third. The axes are
 * logarithmic: the contenders differ by factors.
 *
 * @module
 */
import type { Metric } from "./cases/mod.ts";
import { shown } from "./report.ts";
import type { CaseResult, EntrantResult, Results } from "./results.ts";
import type { Summary } from "./statistics.ts";
import { element, type Markup, svgDocument } from "./svg.ts";

const PANELS: readonly { readonly caseId: string; readonly metric: Metric; readonly title: string }[] = [
  { caseId: "one", metric: "ns", title: "One caller: ns per acquire and release" },
  { caseId: "callers", metric: "ns", title: "100 callers on 10 slots: ns per acquire and release" },
  { caseId: "crowd_10k", metric: "ns", title: "10,000 waiters at once: ns each" },
  { caseId: "crowd_100k", metric: "ns", title: "100,000 waiters at once: ns each" },
  { caseId: "bytes", metric: "bytes", title: "100 callers: bytes of heap per acquire and release" },
  { caseId: "expiry_10k", metric: "ns", title: "10,000 waiters expire at once: ns each" },
];

const WIDTH = 860;
const LABELS = 240;
const VALUES = 70;
const ROW = 22;
const HEAD = 40;
const FOOT = 34;
const TOP = 76;

const STYLE = `
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
  readonly entrant: EntrantResult;
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

function styleOf({ id }: EntrantResult): string {
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

function linesOf(found: CaseResult | undefined, metric: Metric): Line[] {
  const lines: Line[] = [];
  for (const entrant of found?.entrants ?? []) {
    const summary = entrant.figures[metric];
    if (summary && summary.low > 0) lines.push({ entrant, summary });
  }
  return lines;
}

/** The plot, an SVG document; of the panels, those whose case was measured. */
export function plot({ cases, environment, rounds }: Results): string {
  const { cpu, cores, deno, at } = environment;
  const children: Markup[] = [
    element("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    element("text", { x: 16, y: 30, class: "title" }, "The pool core beside other pools"),
    element(
      "text",
      { x: 16, y: 50, class: "note" },
      `Median and middle half of up to ${rounds} interleaved rounds; logarithmic. ` +
        `${cpu}, ${cores} cores, Deno ${deno}, ${at.slice(0, 10)}.`,
    ),
  ];
  let top = TOP;
  for (const { caseId, metric, title } of PANELS) {
    const lines = linesOf(cases.find(({ id }) => id === caseId), metric);
    if (lines.length === 0) continue;
    children.push(panel(title, lines, top));
    top += HEAD + lines.length * ROW + FOOT;
  }
  return svgDocument(WIDTH, top, STYLE, children);
}
