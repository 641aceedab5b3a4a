/**
 * The series of a soak as a plot, as a table of values, and as text.
 *
 * @module
 */
import { STYLE, timeGrid, TOP, WIDTH } from "../support/plot.ts";
import { element, type Markup, svgDocument } from "../support/svg.ts";
import { shown, table, where } from "../support/text.ts";
import type { Series, SoakResults } from "./results.ts";

const CHART = { left: 70, right: WIDTH - 24, height: 110, foot: 44 };
const PANEL = 36 + CHART.height + CHART.foot;

function panel({ title, unit, samples, growth }: Series, lastMs: number, top: number): Markup {
  const bottom = top + 36 + CHART.height;
  const most = Math.max(1, ...samples.map(([, value]) => value)) * 1.1;
  const x = (atMs: number) => CHART.left + atMs / lastMs * (CHART.right - CHART.left);
  const y = (value: number) => bottom - value / most * CHART.height;
  const { left, right } = CHART;
  const timeLabel = (atMs: number) => `${shown(atMs / 60_000)} min`;
  const ticks = timeGrid({ left, right, bottom, most, lastMs, x, y, timeLabel });
  const points = samples.map(([atMs, value]) => `${x(atMs).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const stroke = growth.grows ? "#dc2626" : "#059669";
  return element(
    "g",
    {},
    element("text", { x: 16, y: top + 20, class: "panel" }, `${title}, ${unit}: ${growth.grows ? "GROWS" : "flat"}`),
    ...ticks,
    element("polyline", { points, fill: "none", stroke, "stroke-width": 1.5 }),
  );
}

/** Draws the series as an SVG document. */
export function plotSoak({ series, environment, minutes }: SoakResults): string {
  const { cpu, cores, deno, at } = environment;
  const lastMs = Math.max(1, ...series.flatMap(({ samples }) => samples.map(([atMs]) => atMs)));
  return svgDocument(WIDTH, TOP + series.length * PANEL, STYLE, [
    element("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    element("text", { x: 16, y: 30, class: "title" }, "Soak: load with faults on the local stack"),
    element(
      "text",
      { x: 16, y: 50, class: "note" },
      `${shown(minutes)} minutes. ${cpu}, ${cores} cores, Deno ${deno}, ${at.slice(0, 10)}.`,
    ),
    ...series.map((one, index) => panel(one, lastMs, TOP + index * PANEL)),
  ]);
}

/** Formats the samples as comma-separated values: the series, the time in ms, the value. */
export function csvOfSoak({ series }: SoakResults): string {
  const rows = series.flatMap(({ id, samples }) => samples.map(([atMs, value]) => `${id},${atMs},${value}`));
  return `series,at_ms,value\n${rows.join("\n")}\n`;
}

/** Formats the results for a terminal. */
export function reportSoak({ environment, minutes, series, load, faults }: SoakResults): string {
  return [
    `${where(environment)}${shown(minutes)} minutes`,
    table([
      ["series", "first third", "last third", "allowance", "trend", ""],
      ...series.map(({ title, unit, growth: { first, last, allowed, trend, grows } }) => [
        `${title}, ${unit}`,
        ...[first, last, allowed, trend].map(shown),
        grows ? "GROWS" : "flat",
      ]),
    ]),
    table([["load", "sent", "failed"], ...load.map(({ title, sent, failed }) => [title, `${sent}`, `${failed}`])]),
    table([["fault", "times"], ...Object.entries(faults).map(([what, times]) => [what, `${times}`])]),
  ].join("\n\n");
}

/** Returns one line for each series that grows: the reason for the exit status. */
export function growthReasons({ series }: SoakResults): string[] {
  return series.filter(({ growth }) => growth.grows).map(({ title, unit, growth: { first, last, allowed, trend } }) =>
    `${title} grows: from ${shown(first)} to ${shown(last)} ${unit}, which is more than ${shown(allowed)} above, ` +
    `and its values rise (Mann-Kendall ${shown(trend)})`
  );
}
