/**
 * The values of all metrics at one instant, as plain JSON that isolates can send and add up.
 *
 * @module
 */
import { countOf, fieldsOf } from "../../resilience/mod.ts";
import { areBounds, rebucket } from "./buckets.ts";
import { helpText, isLabelName, isMetricName, labelValue } from "./names.ts";

/** The kind of a metric. */
export type MetricType = "counter" | "gauge" | "histogram";

/** The value of one series. */
export interface SeriesSnapshot {
  /** The labels by name; empty ones are left out. */
  readonly labels: Readonly<Record<string, string>>;
  /** The value of a counter or gauge. */
  readonly value?: number;
  /** The number of values in each bucket, not cumulative, and in one more for larger values. Zeros at the end are left out. */
  readonly counts?: readonly number[];
  /** The sum of the values of a histogram. */
  readonly sum?: number;
}

/** One metric. */
export interface MetricSnapshot {
  /** The name, as Prometheus shows it. */
  readonly name: string;
  /** The kind of its instrument. */
  readonly type: MetricType;
  /** The explanation, on one line. */
  readonly help: string;
  /** The upper bounds of the buckets of a histogram. */
  readonly bounds?: readonly number[];
  /** For a gauge whose values are not added up, such as a share: the largest counts. */
  readonly merge?: "max";
  /** Its series. */
  readonly series: readonly SeriesSnapshot[];
}

/** The values of all metrics of a registry, as plain JSON. */
export interface MetricsSnapshot {
  /** The version of the format. */
  readonly version: 1;
  /** The metrics. */
  readonly metrics: readonly MetricSnapshot[];
}

/** The bounds of what is read from others: a store may hold what other versions, or other programs, have written. */
const MAX_METRICS = 500;
/** The maximum of an instrument, and the series of all others. */
const MAX_SERIES = 501;

function listOf(value: unknown, max: number): unknown[] {
  return Array.isArray(value) ? value.slice(0, max) : [];
}

function parseLabels(value: unknown): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [name, text] of Object.entries(fieldsOf(value)).slice(0, 20)) {
    const shown = labelValue(text);
    if (isLabelName(name) && shown !== "") labels[name] = shown;
  }
  return labels;
}

function parseSeries(value: unknown, type: MetricType, bounds: readonly number[]): SeriesSnapshot | undefined {
  const fields = fieldsOf(value);
  const labels = parseLabels(fields["labels"]);
  if (type !== "histogram") {
    const number = fields["value"];
    const isValid = typeof number === "number" && Number.isFinite(number) && (type === "gauge" || number >= 0);
    return isValid ? { labels, value: number } : undefined;
  }
  const sum = fields["sum"];
  if (typeof sum !== "number" || !Number.isFinite(sum)) return undefined;
  return { labels, counts: listOf(fields["counts"], bounds.length + 1).map(countOf), sum };
}

function parseMetric(value: unknown): MetricSnapshot | undefined {
  const { name, type, help, bounds, merge, series } = fieldsOf(value);
  if (!isMetricName(name) || (type !== "counter" && type !== "gauge" && type !== "histogram")) return undefined;
  if (type === "histogram" && !areBounds(bounds)) return undefined;
  if (name.endsWith("_total") !== (type === "counter")) return undefined;
  const own = type === "histogram" && areBounds(bounds) ? bounds : [];
  const read = listOf(series, MAX_SERIES).flatMap((each) => parseSeries(each, type, own) ?? []);
  return {
    name,
    type,
    help: helpText(help, name),
    ...(type === "histogram" ? { bounds: own } : {}),
    ...(type === "gauge" && merge === "max" ? { merge } : {}),
    series: read,
  };
}

/** Reads a snapshot of unknown origin. What is not valid is left out. Never throws. */
export function parseSnapshot(value: unknown): MetricsSnapshot {
  const metrics = listOf(fieldsOf(value)["metrics"], MAX_METRICS).flatMap((each) => parseMetric(each) ?? []);
  return { version: 1, metrics };
}

/** Returns a snapshot whose series have further labels, such as `function` and `isolate`; these win over equal names. */
export function labelSnapshot(snapshot: MetricsSnapshot, labels: Readonly<Record<string, string>>): MetricsSnapshot {
  const added = parseLabels(labels);
  const metrics = snapshot.metrics.map((metric) => ({
    ...metric,
    series: metric.series.map((series) => ({ ...series, labels: { ...series.labels, ...added } })),
  }));
  return { version: 1, metrics };
}

/** Returns the identity of a series: its labels in the order of their names. */
function keyOf(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels);
  return names.length === 0 ? "" : JSON.stringify(names.sort().map((name) => [name, labels[name]]));
}

function addUp(a: readonly number[], b: readonly number[]): number[] {
  const longer = a.length >= b.length ? a : b;
  return longer.map((_, at) => (a[at] ?? 0) + (b[at] ?? 0));
}

/** Adds a series of `metric` to one of equal labels. */
function addSeries(known: SeriesSnapshot | undefined, series: SeriesSnapshot, metric: MetricSnapshot): SeriesSnapshot {
  if (!known) return series;
  const { labels } = known;
  if (metric.type === "histogram") {
    return {
      labels,
      counts: addUp(known.counts ?? [], series.counts ?? []),
      sum: (known.sum ?? 0) + (series.sum ?? 0),
    };
  }
  const [a, b] = [known.value ?? 0, series.value ?? 0];
  return { labels, value: metric.merge === "max" ? Math.max(a, b) : a + b };
}

/**
 * Adds up snapshots: series with equal labels become one. Label them first where they are to stay apart; see
 * {@linkcode labelSnapshot}. Where isolates of two versions differ, the first one says what a metric is: one of another
 * type is left out, and other buckets are moved into the first ones.
 *
 * @param snapshots They may come from others: each is read as {@linkcode parseSnapshot} does.
 */
export function mergeSnapshots(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const merged = new Map<string, { readonly metric: MetricSnapshot; readonly series: Map<string, SeriesSnapshot> }>();
  for (const snapshot of snapshots) {
    for (const metric of parseSnapshot(snapshot).metrics) {
      let entry = merged.get(metric.name);
      if (!entry) merged.set(metric.name, entry = { metric, series: new Map() });
      if (entry.metric.type !== metric.type) continue;
      const { bounds = [] } = metric;
      const to = entry.metric.bounds ?? [];
      const isMoved = bounds.length !== to.length || bounds.some((bound, at) => bound !== to[at]);
      for (const each of metric.series) {
        const series = isMoved ? { ...each, counts: rebucket(each.counts ?? [], bounds, to) } : each;
        const key = keyOf(series.labels);
        entry.series.set(key, addSeries(entry.series.get(key), series, entry.metric));
      }
    }
  }
  const metrics = [...merged.values()].map(({ metric, series }) => ({ ...metric, series: [...series.values()] }));
  return { version: 1, metrics };
}
