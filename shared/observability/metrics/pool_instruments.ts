/**
 * The metrics of pools, under the names of OpenTelemetry's semantic conventions for database clients.
 *
 * @module
 */
import { AGE_BUCKETS } from "./buckets.ts";
import type { Counter, Gauge, Histogram } from "./instruments.ts";
import type { MetricsRegistry } from "./registry.ts";

/** The label that names a pool. */
export const POOL_LABEL = "db_client_connection_pool_name";

/** The metrics that the specification names. Their label is `db_client_connection_pool_name`, in some with others. */
export interface Metrics {
  readonly performance: {
    /** Leased connections: those in state `used` of `db_client_connections`. */
    readonly activeConnections: Gauge;
    /** Connections that broke, or could not be created. */
    readonly connectionErrors: Counter;
    /** Health checks that failed. */
    readonly healthCheckFailures: Counter;
    /** The waits of leases, in seconds. */
    readonly connectionAcquisitionTime: Histogram;
    /** The ages at which connections were closed, in seconds. */
    readonly connectionLifetime: Histogram;
  };
}

/**
 * Returns the metrics that the specification names, of the pools that report to a registry.
 *
 * @example
 * ```ts
 * const { performance } = metricsOf(new MetricsRegistry());
 * performance.healthCheckFailures.inc();
 * ```
 */
export function metricsOf(registry: MetricsRegistry): Metrics {
  const { connections, errors, healthCheckFailures, waitTime, lifetime } = poolInstruments(registry);
  return {
    performance: {
      activeConnections: connections,
      connectionErrors: errors,
      healthCheckFailures,
      connectionAcquisitionTime: waitTime,
      connectionLifetime: lifetime,
    },
  };
}

/** The instruments of all pools of a registry. */
export interface PoolInstruments {
  readonly connections: Gauge;
  readonly max: Gauge;
  readonly idleMax: Gauge;
  readonly idleMin: Gauge;
  readonly limit: Gauge;
  readonly utilization: Gauge;
  readonly pending: Gauge;
  readonly timeouts: Counter;
  readonly laneTimeouts: Counter;
  readonly createTime: Histogram;
  readonly waitTime: Histogram;
  readonly useTime: Histogram;
  readonly lifetime: Histogram;
  readonly created: Counter;
  readonly destroyed: Counter;
  readonly leaks: Counter;
  readonly errors: Counter;
  readonly healthCheckFailures: Counter;
  readonly recoveryTime: Histogram;
  readonly retries: Counter;
  readonly retriesRefused: Counter;
  readonly circuitState: Gauge;
  readonly circuitOpened: Counter;
  readonly limitChanges: Counter;
  readonly memoryLow: Counter;
  readonly operationDuration: Histogram;
  readonly errorRatio: Gauge;
  readonly transactions: Counter;
  readonly transactionDuration: Histogram;
}

/** Returns the instruments of pools, which are created once for each registry. */
export function poolInstruments(registry: MetricsRegistry): PoolInstruments {
  const counter = (name: string, help: string, ...more: string[]) =>
    registry.counter(name, { help, labels: [POOL_LABEL, ...more] });
  const gauge = (name: string, help: string, ...more: string[]) =>
    registry.gauge(name, { help, labels: [POOL_LABEL, ...more] });
  const share = (name: string, help: string, ...more: string[]) =>
    registry.gauge(name, { help, labels: [POOL_LABEL, ...more], merge: "max" });
  const times = (name: string, help: string, ...more: string[]) =>
    registry.histogram(name, { help, labels: [POOL_LABEL, ...more] });
  const ages = (name: string, help: string, ...more: string[]) =>
    registry.histogram(name, { help, labels: [POOL_LABEL, ...more], buckets: AGE_BUCKETS });
  return {
    // promtool rejects the suffix _count for a gauge.
    connections: gauge(
      "db_client_connections",
      "Connections by state (db.client.connection.count).",
      "db_client_connection_state",
    ),
    max: gauge("db_client_connection_max", "The maximum number of connections."),
    idleMax: gauge("db_client_connection_idle_max", "The maximum number of idle connections."),
    idleMin: gauge("db_client_connection_idle_min", "The number of idle connections that are kept."),
    limit: gauge("db_client_connection_limit", "The number of leases that may be out now."),
    utilization: share("db_client_connection_utilization_ratio", "Leases as a share of the limit."),
    pending: gauge("db_client_connection_pending_requests", "Acquires that wait for a connection."),
    timeouts: counter("db_client_connection_timeouts_total", "Acquires that timed out."),
    laneTimeouts: counter(
      "db_client_connection_lane_timeouts_total",
      "Acquires that timed out, by lane.",
      "db_client_connection_lane",
    ),
    createTime: times("db_client_connection_create_time_seconds", "The time it took to create a connection."),
    waitTime: times(
      "db_client_connection_wait_time_seconds",
      "The wait for a lease, by lane.",
      "db_client_connection_lane",
    ),
    useTime: times("db_client_connection_use_time_seconds", "The time for which a connection was leased."),
    lifetime: ages("db_client_connection_lifetime_seconds", "The age at which a connection was closed."),
    created: counter("db_client_connection_created_total", "Connections that were created."),
    destroyed: counter("db_client_connection_destroyed_total", "Connections that were closed, by reason.", "reason"),
    leaks: counter("db_client_connection_leaks_total", "Leases that were held for too long."),
    errors: counter(
      "db_client_connection_errors_total",
      "Connections that broke or could not be created.",
      "source",
      "error_type",
    ),
    healthCheckFailures: counter("db_client_connection_health_check_failures_total", "Health checks that failed."),
    recoveryTime: ages(
      "db_client_recovery_time_seconds",
      "The time for which the database did not respond, or a circuit was open.",
      "after",
    ),
    retries: counter("db_client_retries_total", "Retries that were sent."),
    retriesRefused: counter("db_client_retries_refused_total", "Retries that the retry budget refused."),
    circuitState: share("db_client_circuit_state", "0: closed, 1: half open, 2: open.", "target"),
    circuitOpened: counter("db_client_circuit_opened_total", "The times that a circuit opened.", "target", "reason"),
    limitChanges: counter("db_client_connection_limit_changes_total", "Changes of the adaptive limit.", "direction"),
    memoryLow: counter("db_client_connection_memory_low_total", "The times that memory was low."),
    operationDuration: times(
      "db_client_operation_duration_seconds",
      "The duration of statements, and of calls to the project.",
      "db_operation_name",
      "error_type",
    ),
    errorRatio: share("db_client_operation_error_ratio", "The share of operations of the last minutes that failed."),
    transactions: counter("db_client_transactions_total", "Transactions by outcome.", "outcome"),
    transactionDuration: times("db_client_transaction_duration_seconds", "The duration of transactions.", "error_type"),
  };
}
