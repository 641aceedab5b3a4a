/**
 * The metrics that must exist, by name: those of OpenTelemetry's semantic conventions, and those of this library.
 *
 * @module
 */

/** The name of a metric in Prometheus, and its type. */
export type Exposed = readonly [name: string, type: "counter" | "gauge" | "histogram"];

/** The metrics of OpenTelemetry's semantic conventions for database clients, as Prometheus names them. */
export const OPEN_TELEMETRY: Readonly<Record<string, Exposed>> = {
  // promtool rejects the suffix _count for a gauge.
  "db.client.connection.count": ["db_client_connections", "gauge"],
  "db.client.connection.idle.max": ["db_client_connection_idle_max", "gauge"],
  "db.client.connection.idle.min": ["db_client_connection_idle_min", "gauge"],
  "db.client.connection.max": ["db_client_connection_max", "gauge"],
  "db.client.connection.pending_requests": ["db_client_connection_pending_requests", "gauge"],
  "db.client.connection.timeouts": ["db_client_connection_timeouts_total", "counter"],
  "db.client.connection.create_time": ["db_client_connection_create_time_seconds", "histogram"],
  "db.client.connection.wait_time": ["db_client_connection_wait_time_seconds", "histogram"],
  "db.client.connection.use_time": ["db_client_connection_use_time_seconds", "histogram"],
  "db.client.operation.duration": ["db_client_operation_duration_seconds", "histogram"],
};

/** The metrics beside them, by their subject. */
export const OTHERS: Readonly<Record<string, Exposed>> = {
  "lanes": ["db_client_connection_lane_timeouts_total", "counter"],
  "leaks": ["db_client_connection_leaks_total", "counter"],
  "retries": ["db_client_retries_total", "counter"],
  "retries refused": ["db_client_retries_refused_total", "counter"],
  "breaker": ["db_client_circuit_state", "gauge"],
  "breaker opened": ["db_client_circuit_opened_total", "counter"],
  "limit": ["db_client_connection_limit", "gauge"],
  "limit changes": ["db_client_connection_limit_changes_total", "counter"],
  "memory low": ["db_client_connection_memory_low_total", "counter"],
  "error rate": ["db_client_operation_error_ratio", "gauge"],
  "utilization": ["db_client_connection_utilization_ratio", "gauge"],
  "health check failures": ["db_client_connection_health_check_failures_total", "counter"],
  "transaction time": ["db_client_transaction_duration_seconds", "histogram"],
  "transactions": ["db_client_transactions_total", "counter"],
  "recovery time": ["db_client_recovery_time_seconds", "histogram"],
  "lifetime": ["db_client_connection_lifetime_seconds", "histogram"],
  "created": ["db_client_connection_created_total", "counter"],
  "destroyed": ["db_client_connection_destroyed_total", "counter"],
  "errors": ["db_client_connection_errors_total", "counter"],
};

/** The metrics of caches. */
export const CACHES: Readonly<Record<string, Exposed>> = {
  "reads": ["cache_reads_total", "counter"],
  "errors": ["cache_errors_total", "counter"],
  "loads": ["cache_loads_total", "counter"],
  "failed loads": ["cache_failed_loads_total", "counter"],
  "shared loads": ["cache_shared_loads_total", "counter"],
  "waits for other isolates": ["cache_lock_waits_total", "counter"],
  "stale values": ["cache_stale_hits_total", "counter"],
  "evictions": ["cache_evictions_total", "counter"],
  "drops": ["cache_drops_total", "counter"],
  "entries": ["cache_entries", "gauge"],
  "bytes": ["cache_size_bytes", "gauge"],
  "connected": ["cache_redis_connected", "gauge"],
};

/** Returns the names and types of a text of Prometheus, in order. */
export function exposedBy(text: string): string[] {
  return [...text.matchAll(/^# TYPE (.+)$/gm)].map(([, each = ""]) => each).sort();
}

/** Returns the names and types of lists, in order. */
export function namesOf(...lists: readonly Readonly<Record<string, Exposed>>[]): string[] {
  return lists.flatMap((list) => Object.values(list)).map((each) => each.join(" ")).sort();
}
