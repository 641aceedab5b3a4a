/**
 * The metrics of a pool, from its events and statistics.
 *
 * @module
 */
import { type Clock, systemClock } from "../../resilience/mod.ts";
import { operationOf } from "../tracing/otel/operation_name.ts";
import { ErrorShare } from "./error_share.ts";
import { errorTypeOf } from "./error_type.ts";
import type { Counter, Gauge, GaugeSeries, HistogramSeries } from "./instruments.ts";
import type { ObservedEvents, ObservedPool, ObservedStats, StatementRecorder } from "./observed_pool.ts";
import { POOL_LABEL, type PoolInstruments, poolInstruments } from "./pool_instruments.ts";
import type { MetricsRegistry } from "./registry.ts";
import { claimName, totalOf } from "./sources.ts";

const CIRCUIT_STATES: Readonly<Record<string, number>> = { "closed": 0, "half-open": 1, "open": 2 };

/** The target of the circuit of a Postgres server. */
const POSTGRES = "postgres";

/** Methods of HTTP; another one is a value of a caller. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Reports the metrics of a pool to a registry from now on, until the result is disposed of or the pool is closed. Without
 * it, the pool creates no events and takes no times.
 *
 * A lease costs two observations of a histogram and creates no event. Gauges are read when the registry is read.
 *
 * @param name The pool's name in the label `db_client_connection_pool_name`. A second pool of a name is `name 2`.
 * @example
 * ```ts
 * const registry = new MetricsRegistry();
 * using _metrics = observePool(registry, PostgresConnectionManager.getInstance(), "postgres");
 * console.log(toPrometheusText(registry.snapshot()));
 * ```
 */
export function observePool(
  registry: MetricsRegistry,
  pool: ObservedPool,
  name: string,
  clock: Clock = systemClock,
): Disposable {
  return new PoolObserver(registry, pool, name, clock);
}

/** A gauge of one pool. */
interface OwnGauge {
  readonly gauge: Gauge;
  readonly labels: Record<string, string>;
  readonly series: GaugeSeries;
}

/** Removes a gauge. Its series may be the one of all others, which stays: it must not go on showing this value. */
function removeGauge({ gauge, labels, series }: OwnGauge): void {
  series.set(undefined);
  gauge.remove(labels);
}

class PoolObserver implements Disposable {
  readonly #registry: MetricsRegistry;
  readonly #pool: ObservedPool;
  readonly #claim: Disposable;
  readonly #all: PoolInstruments;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #subscriptions: (Disposable | undefined)[] = [];
  readonly #gauges: OwnGauge[] = [];
  readonly #circuits = new Map<string, OwnGauge>();
  readonly #errorShare: ErrorShare;

  constructor(registry: MetricsRegistry, pool: ObservedPool, name: string, clock: Clock) {
    this.#registry = registry;
    this.#pool = pool;
    const claim = this.#claim = claimName(registry, POOL_LABEL, name);
    this.#all = poolInstruments(registry);
    this.#labels = { [POOL_LABEL]: claim.name };
    this.#errorShare = new ErrorShare(clock);
    this.#recordLeases();
    this.#recordLife();
    this.#recordFailures();
    this.#recordOperations();
    this.#readStatistics();
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription?.[Symbol.dispose]();
    // A pool that no longer exists has no connections; what was counted stays.
    for (const gauge of [...this.#gauges.splice(0), ...this.#circuits.values()]) removeGauge(gauge);
    this.#circuits.clear();
    this.#claim[Symbol.dispose]();
  }

  #on<K extends keyof ObservedEvents>(name: K, listener: (event: ObservedEvents[K]) => void): void {
    this.#subscriptions.push(this.#pool.on?.(name as never, listener));
  }

  #labeled(more: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string | undefined>> {
    return { ...this.#labels, ...more };
  }

  #recordLeases(): void {
    const { waitTime, useTime } = this.#all;
    const used: HistogramSeries = useTime.with(this.#labels);
    // One series for each lane, which is looked up without building its key.
    const waits: Record<string, HistogramSeries | undefined> = Object.create(null);
    const waitsOf = (lane: string) => waits[lane] = waitTime.with(this.#labeled({ db_client_connection_lane: lane }));
    this.#subscriptions.push(
      this.#pool.record?.({
        waitTime: (ms, lane) => (waits[lane] ?? waitsOf(lane)).observe(ms / 1_000),
        useTime: (ms) => used.observe(ms / 1_000),
      }),
    );
  }

  #recordLife(): void {
    const { createTime, lifetime, destroyed, leaks, laneTimeouts, limitChanges, memoryLow } = this.#all;
    this.#on("created", ({ durationMs }) => createTime.observe(durationMs / 1_000, this.#labels));
    this.#on("destroyed", ({ reason, ageMs }) => {
      lifetime.observe(ageMs / 1_000, this.#labels);
      destroyed.add(1, this.#labeled({ reason }));
    });
    this.#on("leaked", () => leaks.inc(this.#labels));
    this.#on("timedOut", ({ lane }) => laneTimeouts.inc(this.#labeled({ db_client_connection_lane: lane })));
    this.#on("limitChanged", ({ limit, before, applied }) => {
      if (applied) limitChanges.inc(this.#labeled({ direction: limit > before ? "up" : "down" }));
    });
    this.#on("memoryLow", () => memoryLow.inc(this.#labels));
    this.#on("closed", () => this[Symbol.dispose]());
  }

  #recordFailures(): void {
    const { errors, healthCheckFailures, recoveryTime, circuitOpened } = this.#all;
    this.#on("error", ({ error, source }) => {
      // A failed listener is a fault of the program, not of a connection.
      if (source !== "listener") errors.inc(this.#labeled({ source, error_type: errorTypeOf(error) }));
    });
    this.#on("healthCheck", ({ healthy }) => {
      if (!healthy) healthCheckFailures.inc(this.#labels);
    });
    this.#on("recovered", ({ downMs }) => recoveryTime.observe(downMs / 1_000, this.#labeled({ after: "outage" })));
    this.#on("circuitOpened", ({ target, reason }) => {
      // As its state names it. The event of a Postgres server has the address.
      circuitOpened.inc(this.#labeled({ target: this.#pool.circuit ? POSTGRES : target, reason }));
    });
    this.#on("circuitClosed", ({ openMs }) => {
      recoveryTime.observe(openMs / 1_000, this.#labeled({ after: "circuit" }));
    });
  }

  #recordOperations(): void {
    const { operationDuration, transactionDuration } = this.#all;
    const seriesOf = (operation: string, errorType: string | undefined) =>
      operationDuration.with(this.#labeled({ db_operation_name: operation, error_type: errorType }));
    // The series of operations without an error, which are looked up without building their key.
    const succeeded: Record<string, HistogramSeries | undefined> = Object.create(null);
    const ended = (operation: string, durationMs: number, errorType: string | undefined) => {
      this.#errorShare.add(errorType !== undefined);
      const series = errorType === undefined
        ? succeeded[operation] ??= seriesOf(operation, undefined)
        : seriesOf(operation, errorType);
      series.observe(durationMs / 1_000);
    };
    this.#on("called", ({ durationMs, method, status, error }) => {
      const failure = status === undefined ? errorTypeOf(error) : status >= 500 ? String(status) : undefined;
      ended(METHODS.has(method) ? method : "_OTHER", durationMs, failure);
    });
    const recorder: StatementRecorder = {
      observe: async (work, times, run) => {
        let errorType: string | undefined;
        try {
          return await run();
        } catch (error) {
          errorType = errorTypeOf(error);
          throw error;
        } finally {
          const durationMs = times.waitedMs + times.connectMs + times.executionMs;
          // The statements of a transaction are observed themselves.
          if (work.kind !== "transaction") ended(operationOf(work), durationMs, errorType);
          else transactionDuration.observe(durationMs / 1_000, this.#labeled({ error_type: errorType }));
        }
      },
    };
    this.#subscriptions.push(this.#pool.observeStatements?.(recorder));
  }

  #ownGauge(gauge: Gauge, more: Record<string, string> = {}): OwnGauge {
    const labels = { ...this.#labels, ...more };
    return { gauge, labels, series: gauge.with(labels) };
  }

  #gauge(gauge: Gauge, more?: Record<string, string>): GaugeSeries {
    const own = this.#ownGauge(gauge, more);
    this.#gauges.push(own);
    return own.series;
  }

  #total(counter: Counter, more: Record<string, string> = {}): (total: number | undefined) => void {
    const key = [counter.name, ...Object.values(more)].join(" ");
    return totalOf(this.#registry, this.#pool, key, counter.with(this.#labeled(more)));
  }

  /** Sets what statistics say, whenever the registry is read. */
  #readStatistics(): void {
    const all = this.#all;
    const used = this.#gauge(all.connections, { db_client_connection_state: "used" });
    const idle = this.#gauge(all.connections, { db_client_connection_state: "idle" });
    const [max, idleMax, idleMin] = [this.#gauge(all.max), this.#gauge(all.idleMax), this.#gauge(all.idleMin)];
    const [limit, utilization, pending] = [
      this.#gauge(all.limit),
      this.#gauge(all.utilization),
      this.#gauge(all.pending),
    ];
    const errorRatio = this.#gauge(all.errorRatio);
    const count = this.#createTotals();
    const update = this.#registry.beforeSnapshot(() => {
      const pool = this.#pool;
      const stats = pool.getStats();
      const { maxConnections = Infinity, limit: limitNow = maxConnections } = stats;
      used.set(stats.activeConnections);
      idle.set(stats.idleConnections);
      max.set(maxConnections);
      idleMax.set(maxConnections);
      idleMin.set(pool.limits?.minConnections ?? pool.config?.minConnections);
      limit.set(limitNow);
      utilization.set(stats.activeConnections / limitNow);
      pending.set(stats.waitingForConnection);
      errorRatio.set(this.#errorShare.read());
      count(stats);
      this.#setCircuits();
    });
    this.#subscriptions.push(update, { [Symbol.dispose]: () => this.#countLast(count) });
  }

  /** Returns a function that counts what statistics have counted since it was called last. */
  #createTotals(): (stats: ObservedStats) => void {
    const all = this.#all;
    const [created, timeouts] = [this.#total(all.created), this.#total(all.timeouts)];
    const [retries, refused] = [this.#total(all.retries), this.#total(all.retriesRefused)];
    const outcomes: { [outcome in "committed" | "rolledBack" | "unknown"]?: (total: number) => void } = {};
    return ({ totalCreated, totalTimeouts, transactions }) => {
      const { retryBudget } = this.#pool;
      created(totalCreated);
      timeouts(totalTimeouts);
      retries(retryBudget?.totalRetries);
      refused(retryBudget?.getStats().refused);
      for (const outcome of ["committed", "rolledBack", "unknown"] as const) {
        if (transactions) (outcomes[outcome] ??= this.#total(all.transactions, { outcome }))(transactions[outcome]);
      }
    };
  }

  /** Counts what a pool that ends has counted since the metrics were read last. */
  #countLast(count: (stats: ObservedStats) => void): void {
    try {
      count(this.#pool.getStats());
    } catch {
      // A pool whose statistics end with it.
    }
  }

  #setCircuits(): void {
    const { circuits, circuit } = this.#pool;
    const states = { ...circuits?.snapshot(), ...(circuit && { [POSTGRES]: circuit.snapshot() }) };
    for (const [target, own] of this.#circuits) {
      if (Object.hasOwn(states, target)) continue;
      removeGauge(own);
      this.#circuits.delete(target);
    }
    for (const [target, { state }] of Object.entries(states)) {
      let own = this.#circuits.get(target);
      if (!own) this.#circuits.set(target, own = this.#ownGauge(this.#all.circuitState, { target }));
      own.series.set(CIRCUIT_STATES[state]);
    }
  }
}
