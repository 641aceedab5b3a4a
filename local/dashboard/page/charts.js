/**
 * Line charts as SVG. The geometry is in functions of their own, which need no document.
 *
 * @module
 */
import { number, timeOfDay } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 176;
const MARGIN = { left: 44, right: 8, top: 10, bottom: 22 };
/** The longest time between two points that a line connects, in ms: nothing was read while the page was hidden. */
const GAP_MS = 30_000;
/** The rows of a chart's table: enough for the whole time, few enough to read. */
const TABLE_ROWS = 15;

/**
 * Returns the top of an axis that is at least `value`: 1, 2, 2.5 or 5 times a power of ten.
 *
 * @param {number} value
 * @returns {number}
 */
export function niceTop(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5].find((step) => step * power >= value * 0.999999) ?? 10) * power;
}

/**
 * Returns the path of a series. A value that is not known interrupts the line, and so does a time without points.
 *
 * @param {readonly { atMs: number }[]} points
 * @param {(point: any) => number | null} pick
 * @param {(atMs: number) => number} x
 * @param {(value: number) => number} y
 * @returns {string}
 */
export function linePath(points, pick, x, y) {
  let path = "";
  let isDrawing = false;
  let lastMs = -Infinity;
  for (const point of points) {
    const value = pick(point);
    if (value === null || !Number.isFinite(value)) {
      isDrawing = false;
      continue;
    }
    if (point.atMs - lastMs > GAP_MS) isDrawing = false;
    lastMs = point.atMs;
    const at = `${x(point.atMs).toFixed(1)} ${y(value).toFixed(1)}`;
    // A line of no length with round ends shows a single point.
    path += isDrawing ? `L${at}` : `M${at}L${at}`;
    isDrawing = true;
  }
  return path;
}

/**
 * Returns evenly spread points, the newest included.
 *
 * @template T
 * @param {readonly T[]} points
 * @param {number} most
 * @returns {T[]}
 */
export function thinned(points, most) {
  const step = Math.max(1, Math.ceil(points.length / most));
  return points.filter((_, index) => (points.length - 1 - index) % step === 0);
}

/**
 * Returns a summary for readers that see no chart.
 *
 * @param {string} title
 * @param {readonly { label: string, pick: (point: any) => number | null }[]} series
 * @param {readonly any[]} points
 * @param {(value: number | null) => string} format
 * @returns {string}
 */
export function summaryOf(title, series, points, format = number) {
  const last = points.at(-1);
  if (!last) return `${title}: no data yet`;
  const parts = series.map(({ label, pick }) => {
    const most = Math.max(...points.map((point) => pick(point) ?? -Infinity));
    return `${label} ${format(pick(last))}, at most ${format(most)}`;
  });
  return `${title} over ${Math.round((last.atMs - points[0].atMs) / 60_000)} minutes: ${parts.join("; ")}`;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
export function svgElement(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string} name @param {string} [className] @param {string} [text] */
function element(name, className, text) {
  const created = document.createElement(name);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
}

/** A line chart with a legend, and its figures as a table. */
export class LineChart {
  /**
   * @param {{ id: string, title: string, unit: string, format?: (value: number | null) => string,
   *   series: readonly { label: string, color: string, pick: (point: any) => number | null }[] }} options
   */
  constructor({ id, title, unit, series, format = number }) {
    Object.assign(this, { title, series, format });
    this.points = [];
    this.figure = element("figure");
    this.figure.id = id;
    const caption = element("figcaption");
    caption.append(element("h3", "", `${title}${unit === "" ? "" : ` (${unit})`}`));
    this.values = series.map(({ label, color }) => {
      const legend = element("span", "legend");
      const sample = svgElement("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      sample.append(svgElement("path", { d: "M0 5H26", class: `series ${color}` }));
      const value = element("span", "value");
      legend.append(sample, element("span", "", label), value);
      caption.append(legend);
      return value;
    });
    this.svg = svgElement("svg", { role: "img", "aria-label": title });
    this.details = element("details");
    this.table = element("table");
    this.details.append(element("summary", "", `${title} as a table`), this.table);
    this.details.addEventListener("toggle", () => this.#fillTable());
    this.figure.append(caption, this.svg, this.details);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", () => this.#showAt(undefined));
    new ResizeObserver(() => this.#draw()).observe(this.svg);
  }

  /** @param {readonly any[]} points */
  update(points) {
    this.points = points;
    this.#draw();
    this.#fillTable();
  }

  #draw() {
    const { points, series, svg } = this;
    const width = Math.max(svg.clientWidth, 200);
    const last = points.at(-1)?.atMs ?? 0;
    const first = Math.min(points[0]?.atMs ?? 0, last - 60_000);
    const most = Math.max(0, ...series.flatMap(({ pick }) => points.map((point) => pick(point) ?? 0)));
    const top = niceTop(most);
    const x = (at) => MARGIN.left + (at - first) / (last - first) * (width - MARGIN.left - MARGIN.right);
    const y = (value) => HEIGHT - MARGIN.bottom - value / top * (HEIGHT - MARGIN.top - MARGIN.bottom);
    this.scale = { x, first, last, width };
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("aria-label", summaryOf(this.title, series, points, this.format));
    const drawn = [];
    for (const share of [0, 0.5, 1]) {
      const at = y(top * share);
      drawn.push(svgElement("path", { d: `M${MARGIN.left} ${at}H${width - MARGIN.right}`, class: "grid" }));
      const attributes = { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end", class: "axis" };
      drawn.push(svgElement("text", attributes, number(top * share)));
    }
    if (points.length > 0) {
      for (const [at, anchor] of [[first, "start"], [last, "end"]]) {
        drawn.push(
          svgElement("text", { x: x(at), y: HEIGHT - 5, "text-anchor": anchor, class: "axis" }, timeOfDay(at)),
        );
      }
    }
    for (const { color, pick } of series) {
      drawn.push(svgElement("path", { d: linePath(points, pick, x, y), class: `series ${color}` }));
    }
    this.cursor = svgElement("path", { d: "", class: "cursor" });
    svg.replaceChildren(...drawn, this.cursor);
    this.#showAt(undefined);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.points.length === 0) return;
    const { first, last, width } = this.scale;
    const share = (event.offsetX - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
    const at = first + share * (last - first);
    this.#showAt(this.points.reduce((a, b) => Math.abs(b.atMs - at) < Math.abs(a.atMs - at) ? b : a));
  }

  #showAt(point) {
    const shown = point ?? this.points.at(-1);
    for (const [index, { pick }] of this.series.entries()) {
      this.values[index].textContent = shown ? this.format(pick(shown)) : "";
    }
    const at = point && this.scale.x(point.atMs);
    this.cursor?.setAttribute("d", point ? `M${at} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}` : "");
  }

  #fillTable() {
    if (!this.details.open) return;
    const head = element("tr");
    for (const text of ["Time", ...this.series.map(({ label }) => label)]) {
      const cell = element("th", text === "Time" ? "" : "number", text);
      cell.scope = "col";
      head.append(cell);
    }
    const rows = thinned(this.points, TABLE_ROWS).reverse().map((point) => {
      const row = element("tr");
      const time = element("th", "", timeOfDay(point.atMs));
      time.scope = "row";
      row.append(time, ...this.series.map(({ pick }) => element("td", "number", this.format(pick(point)))));
      return row;
    });
    const caption = element("caption", "", `${this.title}, newest first`);
    const thead = element("thead");
    const body = element("tbody");
    thead.append(head);
    body.append(...rows);
    this.table.replaceChildren(caption, thead, body);
  }
}
