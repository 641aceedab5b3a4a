/**
 * The registry of metrics.
 *
 * @module
 */
import { areBounds, TIME_BUCKETS } from "./buckets.ts";
import { MetricError } from "./errors.ts";
import { Counter, Gauge, Histogram, type InstrumentOptions } from "./instruments.ts";
import { helpText, isLabelName, isMetricName } from "./names.ts";
import type { MetricsSnapshot } from "./snapshot.ts";

/** Options of a metric. */
export interface MetricOptions {
  /** The explanation, on one line. Default: the name. */
  readonly help?: string | undefined;
  /** The names of its labels, at most 10. Default: none. */
  readonly labels?: readonly string[] | undefined;
  /** The maximum number of series, 1 to 500. What is beyond it counts in one more, whose labels are `other`. Default: 50. */
  readonly maxSeries?: number | undefined;
}

/** Options of a gauge. */
export interface GaugeOptions extends MetricOptions {
  /** `max`: over isolates the largest value counts, and not the sum. For shares, for example. Default: the sum. */
  readonly merge?: "max" | undefined;
}

/** Options of a histogram. */
export interface HistogramOptions extends MetricOptions {
  /** The upper bounds of the buckets, ascending, at most 50. Default: {@linkcode TIME_BUCKETS}, in seconds. */
  readonly buckets?: readonly number[] | undefined;
}

/** Maximum number of metrics of a registry. */
const MAX_METRICS = 200;

type AnyInstrument = Counter | Gauge | Histogram;

/**
 * Holds metrics by name. Asked again for a metric that exists, it returns that one.
 *
 * What callers supply cannot make it grow without bounds: a metric has at most `maxSeries` series and one for all others,
 * label values are shortened, and beyond 200 metrics a new one is not shown.
 *
 * @example
 * ```ts
 * const registry = new MetricsRegistry();
 * const sent = registry.counter("orders_sent_total", { help: "Orders that were sent.", labels: ["country"] });
 * sent.add(1, { country: "ch" });
 * console.log(toPrometheusText(registry.snapshot()));
 * ```
 */
export class MetricsRegistry {
  readonly #metrics = new Map<string, AnyInstrument>();
  readonly #updates = new Set<() => void>();

  /**
   * Returns a counter.
   *
   * @param name Lowercase, ending in `_total`.
   * @throws {MetricError} if the name or a label is invalid, or the name is that of another kind of metric.
   */
  counter(name: string, options: MetricOptions = {}): Counter {
    if (!String(name).endsWith("_total")) {
      throw new MetricError("Cannot create the counter: its name must end in _total");
    }
    return this.#get(name, Counter, () => new Counter(name, checked(name, options)));
  }

  /**
   * Returns a gauge.
   *
   * @throws {MetricError} as {@linkcode counter} does; its name must not end in `_total`.
   */
  gauge(name: string, options: GaugeOptions = {}): Gauge {
    checkNotCounter(name);
    return this.#get(name, Gauge, () => new Gauge(name, checked(name, options), options.merge));
  }

  /**
   * Returns a histogram.
   *
   * @throws {MetricError} as {@linkcode gauge} does, or if the buckets are not finite ascending numbers.
   */
  histogram(name: string, options: HistogramOptions = {}): Histogram {
    checkNotCounter(name);
    const { buckets = TIME_BUCKETS } = options;
    if (!areBounds(buckets)) {
      throw new MetricError(
        `Cannot create the histogram ${String(name)}: its buckets must be 1 to 50 ascending numbers`,
      );
    }
    return this.#get(name, Histogram, () => new Histogram(name, checked(name, options), [...buckets]));
  }

  /**
   * Calls `update` before the metrics are read, until the subscription is disposed of: to set gauges from statistics, for
   * example. What it throws is ignored.
   */
  beforeSnapshot(update: () => void): Disposable {
    const entry = () => update();
    this.#updates.add(entry);
    return { [Symbol.dispose]: () => void this.#updates.delete(entry) };
  }

  /** Returns the values of all metrics as plain JSON. Metrics without series are left out. Never throws. */
  snapshot(): MetricsSnapshot {
    for (const update of this.#updates) {
      try {
        update();
      } catch {
        // Its metrics keep their former values.
      }
    }
    const metrics = [...this.#metrics.values()].map((metric) => metric.snapshot());
    return { version: 1, metrics: metrics.filter(({ series }) => series.length > 0) };
  }

  #get<I extends AnyInstrument>(name: string, kind: abstract new (...args: never) => I, create: () => I): I {
    const known = this.#metrics.get(name);
    if (known instanceof kind) return known;
    if (known) throw new MetricError(`Cannot create the metric: ${name} exists and is of another kind`);
    const created = create();
    // Beyond the bound it works and is not shown: a program that creates names from input must not fail for it.
    if (this.#metrics.size < MAX_METRICS) this.#metrics.set(name, created);
    return created;
  }
}

/** The registry of this isolate, which `GET /<name>/health/metrics` shows. Metrics of a program may join it. */
export const metricsRegistry: MetricsRegistry = new MetricsRegistry();

function checkNotCounter(name: string): void {
  if (String(name).endsWith("_total")) {
    throw new MetricError("Cannot create the metric: only the name of a counter may end in _total");
  }
}

function checked(name: string, { help, labels = [], maxSeries = 50 }: MetricOptions): InstrumentOptions {
  if (!isMetricName(name)) {
    throw new MetricError(
      "Cannot create the metric: its name must consist of lowercase letters, digits and _, begin with a letter, and not " +
        "end in _bucket, _sum, _count, _info or _created",
    );
  }
  if (
    !Array.isArray(labels) || labels.length > 10 || new Set(labels).size !== labels.length || !labels.every(isLabelName)
  ) {
    throw new MetricError(
      `Cannot create the metric ${name}: its labels must be at most 10 different names of letters, digits and _, and not ` +
        "le or quantile",
    );
  }
  if (!Number.isInteger(maxSeries) || maxSeries < 1 || maxSeries > 500) {
    throw new MetricError(`Cannot create the metric ${name}: maxSeries must be a whole number from 1 to 500`);
  }
  return { help: helpText(help, name), labels: [...labels], maxSeries };
}
