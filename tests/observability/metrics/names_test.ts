/** Every metric by its name: what a pool that does everything exposes, with its values. */
import { assertEquals } from "@std/assert";
import { readPrometheus } from "../../../local/dashboard/prometheus.ts";
import {
  mergeSnapshots,
  metricsOf,
  MetricsRegistry,
  observePool,
  toPrometheusText,
} from "../../../shared/observability/mod.ts";
import { checkMetrics, promtool } from "../../support/promtool.ts";
import { exposedBy, namesOf, OPEN_TELEMETRY, OTHERS } from "./specified_names.ts";
import { ScriptedPool } from "./scripted_pool.ts";

/** A pool to which everything has happened. */
async function busyPool(registry: MetricsRegistry): Promise<void> {
  const pool = new ScriptedPool();
  let record: { waitTime(ms: number, lane: string): void; useTime(ms: number): void } | undefined;
  observePool(
    registry,
    Object.assign(pool, {
      record: (recorder: NonNullable<typeof record>) => {
        record = recorder;
        return { [Symbol.dispose]: () => {} };
      },
    }),
    "x",
  );
  pool.states = { rest: { state: "half-open" } };
  record?.waitTime(40, "high");
  record?.useTime(1_500);
  pool.emit("created", { durationMs: 7 });
  pool.emit("destroyed", { reason: "lifetime", ageMs: 1_800_000 });
  pool.emit("leaked", {});
  pool.emit("timedOut", { lane: "low" });
  pool.emit("error", { error: { code: "ECONNRESET" }, source: "invalidate" });
  pool.emit("healthCheck", { healthy: false });
  pool.emit("recovered", { downMs: 45_000 });
  pool.emit("circuitOpened", { target: "rest", reason: "failure ratio" });
  pool.emit("limitChanged", { limit: 4, before: 8, applied: true });
  pool.emit("memoryLow", {});
  const times = { waitedMs: 10, connectMs: 20, executionMs: 220 };
  await pool.recorder?.observe({ kind: "statement", texts: ["UPDATE a SET b = 1"] }, times, () => Promise.resolve());
  await pool.recorder?.observe({ kind: "transaction", texts: [] }, times, () => Promise.resolve());
}

/** The samples of that pool, without the name of the pool and buckets. */
const EXPECTED: Readonly<Record<string, number>> = {
  'db_client_connections{db_client_connection_state="used"}': 6,
  'db_client_connections{db_client_connection_state="idle"}': 1,
  "db_client_connection_max": 10,
  "db_client_connection_idle_max": 10,
  "db_client_connection_idle_min": 2,
  "db_client_connection_limit": 8,
  "db_client_connection_utilization_ratio": 0.75,
  "db_client_connection_pending_requests": 2,
  "db_client_connection_timeouts_total": 5,
  'db_client_connection_lane_timeouts_total{db_client_connection_lane="low"}': 1,
  "db_client_connection_create_time_seconds_sum": 0.007,
  "db_client_connection_create_time_seconds_count": 1,
  'db_client_connection_wait_time_seconds_sum{db_client_connection_lane="high"}': 0.04,
  'db_client_connection_wait_time_seconds_count{db_client_connection_lane="high"}': 1,
  "db_client_connection_use_time_seconds_sum": 1.5,
  "db_client_connection_use_time_seconds_count": 1,
  "db_client_connection_lifetime_seconds_sum": 1_800,
  "db_client_connection_lifetime_seconds_count": 1,
  "db_client_connection_created_total": 9,
  'db_client_connection_destroyed_total{reason="lifetime"}': 1,
  "db_client_connection_leaks_total": 1,
  'db_client_connection_errors_total{source="invalidate",error_type="ECONNRESET"}': 1,
  "db_client_connection_health_check_failures_total": 1,
  'db_client_recovery_time_seconds_sum{after="outage"}': 45,
  'db_client_recovery_time_seconds_count{after="outage"}': 1,
  "db_client_retries_total": 3,
  "db_client_retries_refused_total": 1,
  'db_client_circuit_state{target="rest"}': 1,
  'db_client_circuit_opened_total{target="rest",reason="failure ratio"}': 1,
  'db_client_connection_limit_changes_total{direction="down"}': 1,
  "db_client_connection_memory_low_total": 1,
  'db_client_operation_duration_seconds_sum{db_operation_name="UPDATE"}': 0.25,
  'db_client_operation_duration_seconds_count{db_operation_name="UPDATE"}': 1,
  "db_client_operation_error_ratio": 0,
  'db_client_transactions_total{outcome="committed"}': 4,
  'db_client_transactions_total{outcome="rolledBack"}': 1,
  'db_client_transactions_total{outcome="unknown"}': 0,
  "db_client_transaction_duration_seconds_sum": 0.25,
  "db_client_transaction_duration_seconds_count": 1,
};

Deno.test("observePool() exposes each metric of OpenTelemetry and of this library under its name, and no other", async () => {
  const registry = new MetricsRegistry();
  await busyPool(registry);
  assertEquals(Object.keys(OPEN_TELEMETRY).filter((name) => name.startsWith("db.client.connection.")).length, 9);
  assertEquals(exposedBy(toPrometheusText(registry.snapshot())), namesOf(OPEN_TELEMETRY, OTHERS));
});

Deno.test(`observePool() exposes the values of a pool in the units of their names${promtool.note}`, async () => {
  const registry = new MetricsRegistry();
  await busyPool(registry);
  const text = toPrometheusText(registry.snapshot());
  const shown: Record<string, number> = {};
  for (const { name, labels, value } of readPrometheus(text)) {
    if (name.endsWith("_bucket")) continue;
    assertEquals(labels["db_client_connection_pool_name"], "x");
    const others = Object.entries(labels).filter(([label]) => label !== "db_client_connection_pool_name");
    const list = others.map(([label, of]) => `${label}="${of}"`).join(",");
    shown[list === "" ? name : `${name}{${list}}`] = value;
  }
  assertEquals(shown, EXPECTED);
  if (!promtool.ignore) assertEquals(await checkMetrics(text), { code: 0, output: "" });
});

Deno.test("observePool() counts a time in the bucket of its bound, in seconds", async () => {
  const registry = new MetricsRegistry();
  await busyPool(registry);
  const text = toPrometheusText(registry.snapshot());
  const bucketOf = (name: string) => text.match(new RegExp(`^${name}_bucket.*le="(.+)"} 1$`, "m"))?.[1];
  assertEquals(bucketOf("db_client_connection_create_time_seconds"), "0.01");
  assertEquals(bucketOf("db_client_connection_wait_time_seconds"), "0.05");
  assertEquals(bucketOf("db_client_connection_use_time_seconds"), "2");
  assertEquals(bucketOf("db_client_operation_duration_seconds"), "0.5");
  assertEquals(bucketOf("db_client_connection_lifetime_seconds"), "1800");
  assertEquals(bucketOf("db_client_recovery_time_seconds"), "60");
});

Deno.test("observePool() marks what is not added up over isolates: shares and states", async () => {
  const registry = new MetricsRegistry();
  await busyPool(registry);
  const snapshot = registry.snapshot();
  const { metrics } = mergeSnapshots([snapshot, snapshot]);
  const valueOf = (name: string) => metrics.find((metric) => metric.name === name)?.series[0]?.value;
  assertEquals(valueOf("db_client_connection_utilization_ratio"), 0.75);
  assertEquals(valueOf("db_client_circuit_state"), 1);
  assertEquals(valueOf("db_client_connections"), 12);
  assertEquals(valueOf("db_client_connection_limit"), 16);
  assertEquals(metrics.filter(({ merge }) => merge === "max").map(({ name }) => name), [
    "db_client_connection_utilization_ratio",
    "db_client_circuit_state",
    "db_client_operation_error_ratio",
  ]);
});

Deno.test("metricsOf() returns the instruments that a pool feeds, under the specification's names", async () => {
  const registry = new MetricsRegistry();
  await busyPool(registry);
  const { performance } = metricsOf(registry);
  registry.snapshot();
  const values = Object.entries(performance).map(([name, instrument]) => {
    const [first] = instrument.snapshot().series;
    return [name, first?.value ?? first?.sum];
  });
  assertEquals(Object.fromEntries(values), {
    activeConnections: 6,
    connectionErrors: 1,
    healthCheckFailures: 1,
    connectionAcquisitionTime: 0.04,
    connectionLifetime: 1_800,
  });
});
