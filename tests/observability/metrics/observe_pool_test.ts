import { assertEquals } from "@std/assert";
import { metricsOf, MetricsRegistry, observePool, POOL_LABEL } from "../../../shared/observability/mod.ts";
import { transient } from "../../support/scripted_factory.ts";
import { settle } from "../../support/fake_clock.ts";
import { testPool } from "../../support/pool.ts";
import { createRig } from "../../supabase/support.ts";
import { ScriptedPool, shown } from "./scripted_pool.ts";

Deno.test("observePool() reports the connections, waits and uses of a ResourcePool", async () => {
  const { pool, clock } = testPool({ maxConnections: 2, minConnections: 1 });
  const registry = new MetricsRegistry();
  observePool(registry, pool, "x", clock);
  const first = await pool.lease();
  const second = await pool.lease({ lane: "high" });
  const third = pool.lease();
  await clock.advance(30);
  first.release();
  (await third).release();
  await clock.advance(10);
  const snapshot = registry.snapshot();
  assertEquals(shown(snapshot, "db_client_connections"), ["used 1", "idle 1"]);
  assertEquals(shown(snapshot, "db_client_connection_max"), ["2"]);
  assertEquals(shown(snapshot, "db_client_connection_idle_max"), ["2"]);
  assertEquals(shown(snapshot, "db_client_connection_idle_min"), ["1"]);
  assertEquals(shown(snapshot, "db_client_connection_limit"), ["2"]);
  assertEquals(shown(snapshot, "db_client_connection_utilization_ratio"), ["0.5"]);
  assertEquals(shown(snapshot, "db_client_connection_pending_requests"), ["0"]);
  assertEquals(shown(snapshot, "db_client_connection_created_total"), ["2"]);
  // Two found room at once, and one waited for 30 ms.
  assertEquals(shown(snapshot, "db_client_connection_wait_time_seconds"), ["normal 1,0,0,0,0,1", "high 1"]);
  assertEquals(shown(snapshot, "db_client_connection_use_time_seconds"), ["1,0,0,0,0,1"]);
  // The first connection was created with the pool.
  assertEquals(shown(snapshot, "db_client_connection_create_time_seconds"), ["1"]);
  second.release();
  await pool.shutdown();
});

Deno.test("observePool() reports timeouts, leaks, errors and ages of a ResourcePool", async () => {
  const { pool, factory, clock } = testPool({
    maxConnections: 1,
    acquireTimeoutMs: 100,
    leakThresholdMs: 200,
    maxLifetimeMs: 50_000,
  });
  const registry = new MetricsRegistry();
  observePool(registry, pool, "x", clock);
  const lease = await pool.lease();
  const late = pool.lease({ lane: "low" }).catch(() => {});
  await clock.advance(100);
  await late;
  await clock.advance(59_900);
  lease.release();
  await settle();
  factory.onCreate = () => Promise.reject(transient());
  const failed = pool.lease().catch(() => {});
  await clock.advance(100);
  await failed;
  const snapshot = registry.snapshot();
  assertEquals(shown(snapshot, "db_client_connection_timeouts_total"), ["2"]);
  assertEquals(shown(snapshot, "db_client_connection_lane_timeouts_total"), ["low 1", "normal 1"]);
  assertEquals(shown(snapshot, "db_client_connection_leaks_total"), ["1"]);
  assertEquals(shown(snapshot, "db_client_connection_destroyed_total"), ["lifetime 1"]);
  assertEquals(shown(snapshot, "db_client_connection_lifetime_seconds"), ["0,0,0,0,1"]);
  assertEquals(shown(snapshot, "db_client_connection_errors_total"), ["create ECONNREFUSED 1"]);
  await pool.shutdown();
});

Deno.test("observePool() reports circuits, health checks, outages, retries and operations of what emits them", async () => {
  const pool = new ScriptedPool();
  const registry = new MetricsRegistry();
  observePool(registry, pool, "x");
  pool.states = { rest: { state: "open" }, auth: { state: "half-open" } };
  pool.emit("circuitOpened", { target: "rest", reason: "failure ratio" });
  pool.emit("circuitClosed", { target: "rest", openMs: 500 });
  pool.emit("healthCheck", { healthy: false });
  pool.emit("healthCheck", { healthy: true });
  pool.emit("recovered", { downMs: 45_000 });
  pool.emit("limitChanged", { limit: 4, before: 8, applied: true });
  pool.emit("limitChanged", { limit: 9, before: 4, applied: true });
  pool.emit("limitChanged", { limit: 1, before: 9, applied: false });
  pool.emit("memoryLow", {});
  pool.emit("error", { error: new TypeError("x"), source: "listener" });
  pool.emit("error", { error: { code: 'E"\n1' }, source: "validate" });
  pool.emit("called", { durationMs: 3, method: "GET", status: 404, error: undefined });
  pool.emit("called", { durationMs: 3, method: "GET", status: 503, error: undefined });
  pool.emit("called", { durationMs: 3, method: "BREW\n", status: undefined, error: transient() });
  const times = { waitedMs: 1, connectMs: 2, executionMs: 6 };
  const statement = { kind: "statement", texts: ["SELECT 1"] } as const;
  assertEquals(await pool.recorder?.observe(statement, times, () => Promise.resolve(7)), 7);
  const failure = Promise.reject(Object.assign(new Error("taken"), { code: "23505" }));
  await pool.recorder?.observe({ kind: "transaction", texts: [] }, times, () => failure).catch(() => {});
  const snapshot = registry.snapshot();
  assertEquals(shown(snapshot, "db_client_circuit_state"), ["rest 2", "auth 1"]);
  assertEquals(shown(snapshot, "db_client_circuit_opened_total"), ["rest failure ratio 1"]);
  assertEquals(shown(snapshot, "db_client_recovery_time_seconds"), ["circuit 1", "outage 0,0,0,0,1"]);
  assertEquals(shown(snapshot, "db_client_connection_health_check_failures_total"), ["1"]);
  assertEquals(shown(snapshot, "db_client_connection_limit_changes_total"), ["down 1", "up 1"]);
  assertEquals(shown(snapshot, "db_client_connection_memory_low_total"), ["1"]);
  assertEquals(shown(snapshot, "db_client_connection_errors_total"), ["validate _OTHER 1"]);
  assertEquals(shown(snapshot, "db_client_retries_total"), ["3"]);
  assertEquals(shown(snapshot, "db_client_retries_refused_total"), ["1"]);
  assertEquals(shown(snapshot, "db_client_transactions_total"), ["committed 4", "rolledBack 1", "unknown 0"]);
  assertEquals(shown(snapshot, "db_client_transaction_duration_seconds"), ["23505 0,0,0,1"]);
  assertEquals(shown(snapshot, "db_client_operation_duration_seconds"), [
    "GET 0,0,1",
    "GET 503 0,0,1",
    "_OTHER ECONNREFUSED 0,0,1",
    "SELECT 0,0,0,1",
  ]);
  assertEquals(shown(snapshot, "db_client_operation_error_ratio"), ["0.5"]);
  pool.states = { auth: { state: "closed" } };
  assertEquals(shown(registry.snapshot(), "db_client_circuit_state"), ["auth 0"]);
});

Deno.test("observePool() names the methods of HTTP, and no other that a caller sends", () => {
  const pool = new ScriptedPool();
  const registry = new MetricsRegistry();
  observePool(registry, pool, "x");
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  for (const method of [...methods, "get", "TRACE", ""]) {
    pool.emit("called", { durationMs: 1, method, status: 200, error: undefined });
  }
  const operations = shown(registry.snapshot(), "db_client_operation_duration_seconds");
  assertEquals(operations, [...methods.map((method) => `${method} 1`), "_OTHER 3"]);
});

Deno.test("observePool() removes every listener and all gauges when it is disposed of, or the pool closes", () => {
  for (const end of ["dispose", "closed"] as const) {
    const pool = new ScriptedPool();
    const registry = new MetricsRegistry();
    const metrics = observePool(registry, pool, "x");
    pool.states = { rest: { state: "open" } };
    registry.snapshot();
    if (end === "closed") pool.emit("closed", {});
    else metrics[Symbol.dispose]();
    assertEquals([...pool.listeners.values()].every((all) => all.size === 0), true);
    assertEquals(pool.recorder, undefined);
    const { metrics: left } = registry.snapshot();
    assertEquals(left.filter(({ type }) => type === "gauge"), []);
    assertEquals(left.some(({ name }) => name === "db_client_connection_created_total"), true);
    // Its name is free again.
    observePool(registry, new ScriptedPool(), "x");
    assertEquals(shown(registry.snapshot(), "db_client_connection_max"), ["10"]);
  }
});

Deno.test("observePool() names a second pool apart, and bounds the names", () => {
  const registry = new MetricsRegistry();
  for (let i = 0; i < 60; i++) observePool(registry, new ScriptedPool(), "x");
  const { metrics } = registry.snapshot();
  const all = metrics.find(({ name }) => name === "db_client_connection_max")?.series ?? [];
  assertEquals(all.slice(0, 2).map(({ labels }) => labels[POOL_LABEL]), ["x", "x 2"]);
  assertEquals(all.length, 51);
});

Deno.test("observePool() works with a pool that has statistics only", () => {
  const registry = new MetricsRegistry();
  const stats = { activeConnections: 1, idleConnections: 0, waitingForConnection: 0, totalCreated: 1 };
  using _metrics = observePool(registry, { getStats: () => stats }, "x");
  const snapshot = registry.snapshot();
  assertEquals(shown(snapshot, "db_client_connections"), ["used 1", "idle 0"]);
  assertEquals(shown(snapshot, "db_client_connection_max"), []);
});

Deno.test("observePool() reports the calls and failed health checks of a SupabaseConnectionPool", async () => {
  await using rig = createRig({ retryReads: false });
  const registry = new MetricsRegistry();
  using _metrics = observePool(registry, rig.pool, "x");
  const lease = await rig.pool.lease();
  await lease.client.from("budgets").select();
  await lease.client.from("budgets").insert({ id: 1 });
  lease.release();
  await settle();
  const operations = shown(registry.snapshot(), "db_client_operation_duration_seconds");
  assertEquals(operations.map((text) => text.split(" ")[0]), ["GET", "POST"]);
  assertEquals(shown(registry.snapshot(), "db_client_connection_health_check_failures_total"), []);
});

Deno.test("metricsOf() returns the metrics that the specification names", () => {
  const registry = new MetricsRegistry();
  const { performance } = metricsOf(registry);
  performance.healthCheckFailures.inc();
  performance.connectionErrors.inc({ [POOL_LABEL]: "x", source: "create" });
  performance.activeConnections.set(3, { [POOL_LABEL]: "x", db_client_connection_state: "used" });
  performance.connectionAcquisitionTime.observe(0.5, { [POOL_LABEL]: "x" });
  performance.connectionLifetime.observe(60, { [POOL_LABEL]: "x" });
  const names = registry.snapshot().metrics.map(({ name }) => name);
  assertEquals(names, [
    "db_client_connections",
    "db_client_connection_wait_time_seconds",
    "db_client_connection_lifetime_seconds",
    "db_client_connection_errors_total",
    "db_client_connection_health_check_failures_total",
  ]);
});
