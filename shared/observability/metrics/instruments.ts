/**
 * Instruments: counters, gauges and histograms, with bounded labels.
 *
 * Recording a value never throws. A value that is not a finite number is ignored.
 *
 * @module
 */
import { type Labels, labelValue, OTHER_SERIES } from "./names.ts";
import type { MetricSnapshot, SeriesSnapshot } from "./snapshot.ts";

/** The part of an instrument that all kinds share, as the registry creates it. */
export interface InstrumentOptions {
  /** The explanation, on one line. */
  readonly help: string;
  /** The names of its labels. Default: none. */
  readonly labels: readonly string[];
  /** The maximum number of series; what is beyond it counts in one more, whose labels are `other`. */
  readonly maxSeries: number;
}

const NO_LABELS: Labels = Object.freeze({});

/** The series of an instrument by their labels, at most a fixed number and one more. */
export abstract class Instrument<S> {
  /** The name, as Prometheus shows it. */
  readonly name: string;
  /** Its options. */
  protected readonly options: InstrumentOptions;
  /** Its series, by their labels. */
  protected readonly all: Map<string, { readonly labels: Record<string, string>; readonly series: S }> = new Map();
  #unlabeled: S | undefined = undefined;

  /** Creates an instrument. Use the methods of `MetricsRegistry` instead: they show it, too. */
  constructor(name: string, options: InstrumentOptions) {
    this.name = name;
    this.options = options;
  }

  /**
   * Returns the series of `labels`, which can be kept where values are recorded often. Labels that the instrument does
   * not have are ignored. When there are too many series, it is the one of all others.
   */
  with(labels: Labels = NO_LABELS): S {
    const names = this.options.labels;
    if (names.length === 0) return this.#unlabeled ??= this.#seriesOf([]);
    return this.#seriesOf(names.map((name) => labelValue(labels?.[name])));
  }

  /** Removes the series of `labels`, so that it is no longer shown. */
  remove(labels: Labels = NO_LABELS): void {
    this.all.delete(this.options.labels.map((name) => labelValue(labels?.[name])).join("\n"));
    this.#unlabeled = undefined;
  }

  /** Returns the values as plain data. */
  abstract snapshot(): MetricSnapshot;

  /** Creates a series. */
  protected abstract create(): S;

  #seriesOf(values: readonly string[]): S {
    // No value holds a line break.
    const key = values.join("\n");
    const known = this.all.get(key);
    if (known) return known.series;
    const { labels: names, maxSeries } = this.options;
    const isFull = this.all.size >= maxSeries && values.some((value) => value !== OTHER_SERIES);
    if (isFull) return this.#seriesOf(names.map(() => OTHER_SERIES));
    const labels: Record<string, string> = {};
    for (const [at, name] of names.entries()) if (values[at]) labels[name] = values[at];
    const series = this.create();
    this.all.set(key, { labels, series });
    return series;
  }
}

/** One series of a {@linkcode Counter}. */
export class CounterSeries {
  /** The count. */
  value = 0;

  /** Adds `count`, 1 by default. A negative one is ignored: a counter never falls. */
  add(count: number = 1): void {
    if (Number.isFinite(count) && count > 0) this.value = plus(this.value, count);
  }

  /** Adds 1. */
  inc(): void {
    this.value++;
  }
}

/** A number that only grows. Its name ends in `_total`. */
export class Counter extends Instrument<CounterSeries> {
  /** Adds `count`, 1 by default, to the series of `labels`. */
  add(count: number = 1, labels?: Labels): void {
    this.with(labels).add(count);
  }

  /** Adds 1 to the series of `labels`, under the name that the specification uses. */
  inc(labels?: Labels): void {
    this.with(labels).add(1);
  }

  /** Returns the values as plain data. */
  override snapshot(): MetricSnapshot {
    const series = [...this.all.values()].map(({ labels, series: { value } }) => ({ labels, value }));
    return { name: this.name, type: "counter", help: this.options.help, series };
  }

  /** Creates a series. */
  protected override create(): CounterSeries {
    return new CounterSeries();
  }
}

/** One series of a {@linkcode Gauge}. */
export class GaugeSeries {
  /** The value that was set last, or `undefined` for none. */
  value: number | undefined = undefined;
  /** Returns the value, in place of one that is set. */
  read: (() => number | undefined) | undefined = undefined;

  /** Sets the value. `undefined`, or what is not a finite number, hides the series. */
  set(value: number | undefined): void {
    this.value = value;
  }

  /** Adds to the value; a negative number lowers it. */
  add(amount: number): void {
    if (Number.isFinite(amount)) this.value = plus(this.value ?? 0, amount);
  }
}

/** A number that rises and falls. */
export class Gauge extends Instrument<GaugeSeries> {
  readonly #merge: "max" | undefined;

  /**
   * Creates an instrument. Use the methods of `MetricsRegistry` instead: they show it, too.
   *
   * @param merge `max` for values that are not added up over isolates, such as shares.
   */
  constructor(name: string, options: InstrumentOptions, merge?: "max") {
    super(name, options);
    this.#merge = merge;
  }

  /** Sets the series of `labels`. */
  set(value: number, labels?: Labels): void {
    this.with(labels).set(value);
  }

  /**
   * Takes the value of a series from `read` whenever the metrics are read, until the subscription is disposed of. The
   * series is hidden while `read` throws or returns what is not a finite number.
   */
  observe(read: () => number | undefined, labels?: Labels): Disposable {
    const series = this.with(labels);
    series.read = read;
    return {
      [Symbol.dispose]: () => {
        if (series.read !== read) return;
        series.read = undefined;
        this.remove(labels);
      },
    };
  }

  /** Returns the values as plain data. */
  override snapshot(): MetricSnapshot {
    const series: SeriesSnapshot[] = [];
    for (const { labels, series: { read, value: set } } of this.all.values()) {
      const value = read ? attempt(read) : set;
      if (typeof value === "number" && Number.isFinite(value)) series.push({ labels, value });
    }
    const merge = this.#merge && { merge: this.#merge };
    return { name: this.name, type: "gauge", help: this.options.help, ...merge, series };
  }

  /** Creates a series. */
  protected override create(): GaugeSeries {
    return new GaugeSeries();
  }
}

/** One series of a {@linkcode Histogram}. */
export class HistogramSeries {
  /** The number of values in each bucket, and in one more for larger values. */
  readonly counts: number[];
  /** The sum of the values. */
  sum = 0;
  readonly #bounds: readonly number[];

  /**
   * Creates a series.
   *
   * @param bounds The upper bounds of the buckets, and `Infinity`.
   */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = Array(bounds.length).fill(0);
  }

  /** Counts a value. A negative one, as a clock that jumps back produces, counts as 0. */
  observe(value: number): void {
    const bounds = this.#bounds;
    const counts = this.counts;
    // A number passed as text would turn the sum into text.
    if (!Number.isFinite(value)) return;
    let at = 0;
    while (value > (bounds[at] as number)) at++;
    counts[at] = (counts[at] as number) + 1;
    if (value > 0) this.sum = plus(this.sum, value);
  }
}

/** Counts values in fixed buckets. */
export class Histogram extends Instrument<HistogramSeries> {
  /** The upper bounds of the buckets. */
  readonly bounds: readonly number[];
  readonly #closed: readonly number[];

  /**
   * Creates an instrument. Use the methods of `MetricsRegistry` instead: they show it, too.
   *
   * @param bounds The upper bounds of the buckets, ascending.
   */
  constructor(name: string, options: InstrumentOptions, bounds: readonly number[]) {
    super(name, options);
    this.bounds = bounds;
    this.#closed = [...bounds, Infinity];
  }

  /** Counts a value in the series of `labels`. */
  observe(value: number, labels?: Labels): void {
    this.with(labels).observe(value);
  }

  /** Returns the values as plain data. */
  override snapshot(): MetricSnapshot {
    const series = [...this.all.values()].map(({ labels, series: { counts, sum } }) => {
      const end = counts.findLastIndex((count) => count > 0) + 1;
      return { labels, counts: counts.slice(0, end), sum };
    });
    return { name: this.name, type: "histogram", help: this.options.help, bounds: this.bounds, series };
  }

  /** Creates a series. */
  protected override create(): HistogramSeries {
    return new HistogramSeries(this.#closed);
  }
}

/** Adds finite numbers. The sum stays finite: JSON has no other numbers. */
function plus(sum: number, amount: number): number {
  const next = sum + amount;
  return Number.isFinite(next) ? next : Math.sign(next) * Number.MAX_VALUE;
}

function attempt(read: () => number | undefined): number | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
