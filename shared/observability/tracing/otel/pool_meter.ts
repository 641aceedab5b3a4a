/**
 * The metrics of pools, under OpenTelemetry's names.
 *
 * @module
 */
import type { Attributes, Histogram, Meter, ObservableResult } from "@opentelemetry/api";
import { seconds } from "./api.ts";
import { safely } from "./safely.ts";

/** The statistics of a pool that are reported. */
export interface MeteredStats {
  readonly activeConnections: number;
  readonly idleConnections: number;
  readonly waitingForConnection: number;
  readonly totalTimeouts?: number;
  readonly maxConnections?: number;
}

/** A pool that can be metered: a pool of this library. */
export interface MeteredPool {
  /** Returns the current statistics. */
  getStats(): MeteredStats;
  /** Passes the wait and use times of leases to a recorder, in ms. Default: they are not reported. */
  record?(recorder: { waitTime(ms: number): void; useTime(ms: number): void }): Disposable;
  /** Calls a listener at each event; `created` is used. Default: times of creation are not reported. */
  on?(name: "created", listener: (event: { readonly durationMs: number }) => void): Disposable;
  /** The options in effect. */
  readonly config?: { readonly minConnections?: number };
  /** The limits in effect. Default: those of `config`. */
  readonly limits?: { readonly minConnections: number } | undefined;
}

/** Bounds of buckets, in s. Source: OpenTelemetry, semantic conventions of database metrics. */
export const BUCKETS: readonly number[] = Object.freeze([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);

/** Returns a histogram of times, in s. */
export function timesOf(meter: Meter, name: string, description: string): Histogram {
  return meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: [...BUCKETS] } });
}

/** Records a time, whatever the provider throws: an error of the pool it is not. */
function record(histogram: Histogram, ms: number, attributes: Attributes): void {
  safely(() => histogram.record(seconds(ms), attributes));
}

/** Reports the metrics of pools by name. */
export class PoolMeter {
  readonly #pools = new Map<string, MeteredPool>();
  /** The timeouts of all pools that a name has had: what a counter has counted stays. */
  readonly #timeouts = new Map<string, number>();
  /** The timeouts of each pool that were counted. */
  readonly #counted = new WeakMap<MeteredPool, number>();
  readonly #waitTime: Histogram;
  readonly #useTime: Histogram;
  readonly #createTime: Histogram;

  constructor(meter: Meter) {
    this.#waitTime = timesOf(meter, "db.client.connection.wait_time", "The time it took to obtain a connection");
    this.#useTime = timesOf(meter, "db.client.connection.use_time", "The time between borrowing and returning");
    this.#createTime = timesOf(meter, "db.client.connection.create_time", "The time it took to create a connection");
    const gauge = (name: string, description: string, observe: (pool: MeteredPool, result: Report) => void) =>
      meter.createObservableUpDownCounter(name, { description, unit: "{connection}" })
        .addCallback((result) => this.#observe(result, observe));
    gauge("db.client.connection.count", "The number of connections by state", (pool, report) => {
      const { activeConnections, idleConnections } = pool.getStats();
      report(activeConnections, { "db.client.connection.state": "used" });
      report(idleConnections, { "db.client.connection.state": "idle" });
    });
    gauge("db.client.connection.max", "The maximum number of connections", (pool, report) => {
      const { maxConnections = Infinity } = pool.getStats();
      if (maxConnections < Infinity) report(maxConnections);
    });
    gauge("db.client.connection.idle.max", "The maximum number of idle connections", (pool, report) => {
      const { maxConnections = Infinity } = pool.getStats();
      if (maxConnections < Infinity) report(maxConnections);
    });
    gauge("db.client.connection.idle.min", "The minimum number of idle connections", (pool, report) => {
      const minConnections = pool.limits?.minConnections ?? pool.config?.minConnections;
      if (minConnections !== undefined) report(minConnections);
    });
    meter.createObservableUpDownCounter("db.client.connection.pending_requests", {
      description: "The number of requests that wait for a connection",
      unit: "{request}",
    }).addCallback((result) => this.#observe(result, (pool, report) => report(pool.getStats().waitingForConnection)));
    meter.createObservableCounter("db.client.connection.timeouts", {
      description: "The number of requests that waited for a connection in vain",
      unit: "{timeout}",
    }).addCallback((result) => this.#observe(result, (pool, report, name) => report(this.#countTimeouts(name, pool))));
  }

  /** Reports a pool from now on, until the result is disposed of. A second one with a name replaces the first. */
  add(name: string, pool: MeteredPool): Disposable {
    const attributes = { "db.client.connection.pool.name": name };
    this.#end(name);
    this.#pools.set(name, pool);
    const subscriptions = [
      pool.record?.({
        waitTime: (ms) => record(this.#waitTime, ms, attributes),
        useTime: (ms) => record(this.#useTime, ms, attributes),
      }),
      pool.on?.("created", ({ durationMs }) => record(this.#createTime, durationMs, attributes)),
    ];
    return {
      [Symbol.dispose]: () => {
        if (this.#pools.get(name) === pool) this.#end(name);
        for (const subscription of subscriptions) subscription?.[Symbol.dispose]();
      },
    };
  }

  /** Ends the reports of the pool with a name. */
  #end(name: string): void {
    const pool = this.#pools.get(name);
    if (!pool) return;
    this.#pools.delete(name);
    safely(() => this.#countTimeouts(name, pool));
  }

  /** Counts the timeouts of a pool since the last time, and returns those of its name. */
  #countTimeouts(name: string, pool: MeteredPool): number {
    const [now, before] = [pool.getStats().totalTimeouts ?? 0, this.#counted.get(pool) ?? 0];
    const total = (this.#timeouts.get(name) ?? 0) + Math.max(0, now - before);
    this.#timeouts.set(name, total);
    this.#counted.set(pool, now);
    return total;
  }

  #observe(result: ObservableResult, observe: (pool: MeteredPool, report: Report, name: string) => void): void {
    for (const [name, pool] of this.#pools) {
      const attributes = { "db.client.connection.pool.name": name };
      // A pool that throws leaves the others their values.
      safely(() => observe(pool, (value, more) => result.observe(value, { ...attributes, ...more }), name));
    }
  }
}

/** Reports one value of a pool. */
type Report = (value: number, attributes?: Record<string, string>) => void;
