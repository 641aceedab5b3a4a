/**
 * The results as text and as a plot.
 *
 * @module
 */
import { type Panel, plotHead, plotPanels, STYLE, timeGrid, WIDTH } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import { element, type Markup, svgDocument } from "../support/svg.ts";
import { type Column, heading, medianOf, section, shown, timesOursOf } from "../support/text.ts";
import type { HeapSample, Metric } from "./metrics.ts";

/** The results of a run, and the heap of each process over time. */
export interface CompareResults extends Results<Metric> {
  readonly heap: Readonly<Record<string, readonly HeapSample[]>>;
}

const column = (metric: Metric, title: string): Column<Metric> => ({ caseId: "burst", metric, title });

const TIMES = [
  column("meanMs", "mean ms"),
  column("p50Ms", "p50 ms"),
  column("p95Ms", "p95 ms"),
  column("p99Ms", "p99 ms"),
  column("requestsPerSecond", "requests/s"),
  column("failedPercent", "failed %"),
];

const MEANS = [
  column("sockets", "sockets"),
  column("backends", "backends"),
  column("busyBackends", "active"),
  column("heapMb", "heap MB"),
];

const PANELS: readonly Panel<Metric>[] = [
  { caseId: "burst", metric: "meanMs", title: "Mean time of a request, in ms" },
  { caseId: "burst", metric: "p99Ms", title: "p99, in ms" },
  { caseId: "burst", metric: "sockets", title: "Maximum of sockets to the stack" },
  { caseId: "burst", metric: "heapMb", title: "Maximum of the heap, in MB" },
];

/** Formats the results for a terminal. */
export function report(results: CompareResults): string {
  return heading(results) +
    section("100 concurrent requests", results, TIMES, medianOf) +
    section("times pooled", results, TIMES, timesOursOf) +
    section("at the peak", results, MEANS, medianOf) +
    "sockets: of the process, to the stack. backends: of the Data API, to Postgres; the Data API pools them itself.\n";
}

const CHART = { left: 60, right: WIDTH - 200, height: 180, foot: 50 };
const COLORS = ["#64748b", "#059669", "#d97706"];

/** Draws the heap over time, with one line per process. */
function chart({ heap, cases }: CompareResults, top: number): Markup {
  const candidates = cases.flatMap((one) => one.candidates);
  const all = Object.values(heap).flat();
  const lastMs = Math.max(...all.map(([atMs]) => atMs));
  const most = Math.max(...all.map(([, mb]) => mb));
  const bottom = top + 40 + CHART.height;
  const x = (atMs: number) => CHART.left + atMs / lastMs * (CHART.right - CHART.left);
  const y = (mb: number) => bottom - mb / most * CHART.height;
  const lines = candidates.flatMap(({ id, title }, index) => {
    const samples = heap[id] ?? [];
    const last = samples.at(-1);
    if (!last) return [];
    const stroke = COLORS[index % COLORS.length] ?? "";
    const points = samples.map(([atMs, mb]) => `${x(atMs).toFixed(1)},${y(mb).toFixed(1)}`).join(" ");
    return [
      element("polyline", { points, fill: "none", stroke, "stroke-width": 1.5 }),
      element("text", { x: CHART.right + 12, y: top + 60 + index * 20, style: `fill: ${stroke}` }, title),
    ];
  });
  const { left, right } = CHART;
  const timeLabel = (atMs: number) => `${shown(atMs / 1_000)} s`;
  const ticks = timeGrid({ left, right, bottom, most, lastMs, x, y, timeLabel });
  return element(
    "g",
    {},
    element("text", { x: 16, y: top + 22, class: "panel" }, "Heap over the time of all bursts, in MB"),
    ...ticks,
    ...lines,
  );
}

/** Draws the results as an SVG document. */
export function plot(results: CompareResults): string {
  const { children, bottom } = plotPanels(results, PANELS);
  return svgDocument(WIDTH, bottom + 40 + CHART.height + CHART.foot, STYLE, [
    ...plotHead("A client per request, and the pool: 100 concurrent requests", results, "dots logarithmic"),
    ...children,
    chart(results, bottom),
  ]);
}
