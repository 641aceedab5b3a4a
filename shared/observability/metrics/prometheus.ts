/**
 * The text format of Prometheus.
 *
 * @module
 */
import { mergeSnapshots, type MetricSnapshot, type MetricsSnapshot, type SeriesSnapshot } from "./snapshot.ts";

/** The media type of {@linkcode toPrometheusText}. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

/** Returns labels with a comma after each, so that one more can follow. */
function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}",`).join("");
}

function line(name: string, labels: string, value: number): string {
  return labels === "" ? `${name} ${value}\n` : `${name}{${labels.slice(0, -1)}} ${value}\n`;
}

function histogramText(name: string, bounds: readonly number[], series: SeriesSnapshot): string {
  const labels = labelsText(series.labels);
  const { counts = [], sum = 0 } = series;
  let text = "";
  let total = 0;
  for (const [at, bound] of bounds.entries()) {
    total += counts[at] ?? 0;
    text += line(`${name}_bucket`, `${labels}le="${bound}",`, total);
  }
  total += counts[bounds.length] ?? 0;
  text += line(`${name}_bucket`, `${labels}le="+Inf",`, total);
  return text + line(`${name}_sum`, labels, sum) + line(`${name}_count`, labels, total);
}

function metricText({ name, type, help, bounds = [], series }: MetricSnapshot): string {
  if (series.length === 0) return "";
  const lines = series.map((each) =>
    type === "histogram" ? histogramText(name, bounds, each) : line(name, labelsText(each.labels), each.value ?? 0)
  );
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/**
 * Returns metrics in the text format of Prometheus, version 0.0.4, valid for `promtool check metrics`.
 *
 * @param snapshots One or several, which are added up; see {@linkcode mergeSnapshots}. They may come from others.
 * @example
 * ```ts
 * const registry = new MetricsRegistry();
 * registry.counter("orders_sent_total", { help: "Orders that were sent." }).add();
 * const text = toPrometheusText(registry.snapshot());
 * ```
 */
export function toPrometheusText(snapshots: MetricsSnapshot | readonly MetricsSnapshot[]): string {
  const all = "metrics" in snapshots ? [snapshots] : snapshots;
  return mergeSnapshots(all).metrics.map(metricText).join("");
}
