/** The metrics of a PostgresConnectionManager on a real server: in a registry, and in a MetricsCollector. */
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual, assertRejects } from "@std/assert";
import { readPrometheus } from "../../local/dashboard/prometheus.ts";
import { MetricsCollector, MetricsRegistry, observePool, toPrometheusText } from "../../shared/observability/mod.ts";
import { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { environment } from "../http/real_rig.ts";
import { exposedBy, namesOf, OPEN_TELEMETRY, OTHERS } from "../observability/metrics/specified_names.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { checkMetrics, promtool } from "../support/promtool.ts";
import { freePort } from "../support/redis.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

/** The secret key of `environment`. */
const SECRET = "sb_secret_test";

Deno.test("MetricsCollector.attachPostgres() takes the queries of a PostgresConnectionManager", async (t) => {
  await using database = await TestDatabase.start();

  await t.step("counts queries, failures and slow ones, with the durations that a caller measures", async () => {
    const manager = database.manager({ maxConnections: 2 });
    const collector = new MetricsCollector();
    using _attached = collector.attachPostgres(manager, { slowMs: 200 });
    const measured: number[] = [];
    const run = async (text: string) => {
      const since = performance.now();
      await manager.query(text).catch(() => {});
      measured.push(performance.now() - since);
    };
    for (let i = 0; i < 10; i++) await run("SELECT pg_sleep(0.02)");
    for (let i = 0; i < 2; i++) await run("SELECT pg_sleep(0.25)");
    await run("SELECT 1 / 0");
    const { count, failed, errorRate, slow, duration } = collector.getMetrics().postgres.query;
    assertEquals([count, failed, errorRate], [13, 1, 1 / 13]);
    assertGreaterOrEqual(slow, 2);
    const average = collector.getMetric("postgres.query.duration.avg");
    const expected = measured.reduce((sum, ms) => sum + ms, 0) / measured.length;
    assertEquals(average, duration.avg);
    // The clock of pools has whole ms. The server has slept for 700 ms.
    assertLessOrEqual(duration.avg, expected + 1);
    assertGreaterOrEqual(duration.avg, (700 - 13) / 13);
    assertLessOrEqual(duration.max, Math.max(...measured) + 1);
    assertGreaterOrEqual(duration.max, 249);
    assert(duration.min <= duration.p50 && duration.p50 <= duration.p95 && duration.p99 <= duration.max);
    assertGreaterOrEqual(duration.p99, 200);
  });

  await t.step("counts the statements of a transaction, and not the transaction", async () => {
    const manager = database.manager();
    const collector = new MetricsCollector();
    const attached = collector.attachPostgres(manager);
    await manager.transaction(async (tx) => {
      await tx.query("SELECT 1");
      await tx.query("SELECT 2");
    });
    await assertRejects(() => manager.transaction((tx) => tx.query("SELECT 1 / 0")));
    const { count, failed } = collector.getMetrics().postgres.query;
    assertEquals([count, failed], [3, 1]);
    attached[Symbol.dispose]();
    await manager.query("SELECT 1");
    assertEquals(collector.getMetric("postgres.query.count"), count);
  });

  await t.step("shows the connections now, of all attached pools together, until they are shut down", async () => {
    const [first, second] = [database.manager({ maxConnections: 1 }), database.manager({ maxConnections: 2 })];
    const collector = new MetricsCollector();
    collector.attachPostgres(first);
    collector.attachPostgres(second);
    const leases = [await first.lease(), await second.lease()];
    const waiting = first.lease();
    assertEquals(collector.getMetrics().postgres.pool, { total: 2, active: 2, idle: 0, waiting: 1 });
    for (const lease of leases) lease.release();
    (await waiting).release();
    await until("both are idle", () => collector.getMetric("postgres.pool.idle") === 2);
    await Promise.all([first.shutdown(), second.shutdown()]);
    await until("both are gone", () => collector.getMetric("postgres.pool.total") === 0);
  });
});

/** Returns the sum of the samples of a name with these labels. */
function sumOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const samples = readPrometheus(text).filter((sample) =>
    sample.name === name && Object.entries(labels).every(([label, of]) => sample.labels[label] === of)
  );
  return samples.reduce((sum, { value }) => sum + value, 0);
}

/** Sends queries and transactions of each outcome. */
function load(manager: PostgresConnectionManager): Promise<unknown>[] {
  const times = <T>(count: number, work: () => Promise<T>) => Array.from({ length: count }, work);
  return [
    ...times(40, () => manager.query("SELECT pg_sleep(0.005)")),
    ...times(10, () => manager.query("SELECT 1 / 0").catch(() => {})),
    ...times(5, () => manager.transaction((tx) => tx.query("SELECT 1"))),
    ...times(4, () => manager.transaction((tx) => tx.query("SELECT 1 / 0")).catch(() => {})),
  ];
}

Deno.test(`observePool() exposes a PostgresConnectionManager under load, with its values${promtool.note}`, async () => {
  await using database = await TestDatabase.start();
  const { host, port } = database.options();
  await using proxy = await TcpProxy.start({ host, port });
  const registry = new MetricsRegistry();
  const read = () => toPrometheusText(registry.snapshot());
  const admin = database.manager();
  const manager = database.manager({
    ...{ host: "127.0.0.1", port: proxy.port, maxConnections: 3, minConnections: 1 },
    ...{ acquireTimeoutMs: 60_000, leakThresholdMs: 20_000, circuitBreaker: { openMs: 50 } },
  });
  observePool(registry, manager, "postgres");
  await until("the first connection", () => manager.totalCount === 1);

  const work = load(manager);
  await until("it waits", () => manager.waitingCount > 0);
  const busy = read();
  assertEquals(sumOf(busy, "db_client_connection_max"), 3);
  assertEquals(sumOf(busy, "db_client_connection_idle_max"), 3);
  assertEquals(sumOf(busy, "db_client_connection_idle_min"), 1);
  assertEquals(sumOf(busy, "db_client_connection_limit"), 3);
  const used = sumOf(busy, "db_client_connections", { db_client_connection_state: "used" });
  assertLessOrEqual(used, 3);
  assertEquals(sumOf(busy, "db_client_connection_utilization_ratio"), used / 3);
  assertGreaterOrEqual(sumOf(busy, "db_client_connection_pending_requests"), 1);
  if (!promtool.ignore) assertEquals(await checkMetrics(busy), { code: 0, output: "" });
  await Promise.all(work);

  const done = read();
  const operations = (labels = {}) => sumOf(done, "db_client_operation_duration_seconds_count", labels);
  assertEquals(operations(), 59);
  assertEquals(operations({ db_operation_name: "SELECT" }), 59);
  assertEquals(operations({ error_type: "22012" }), 14);
  assertEquals(sumOf(done, "db_client_operation_error_ratio"), 14 / 59);
  assertGreaterOrEqual(sumOf(done, "db_client_operation_duration_seconds_sum"), 40 * 0.005);
  assertEquals(sumOf(done, "db_client_transactions_total", { outcome: "committed" }), 5);
  assertEquals(sumOf(done, "db_client_transactions_total", { outcome: "rolledBack" }), 4);
  assertEquals(sumOf(done, "db_client_transaction_duration_seconds_count"), 9);
  assertEquals(sumOf(done, "db_client_transaction_duration_seconds_count", { error_type: "22012" }), 4);

  // Two acquires time out, one of them in another lane.
  const leases = await Promise.all([1, 2, 3].map(() => manager.lease()));
  for (const lane of ["low", "normal"] as const) {
    await assertRejects(() => manager.lease({ lane, acquireTimeoutMs: 20 }));
  }
  for (const lease of leases) lease.release();
  // A connection breaks.
  const { rows } = await manager.query("SELECT pg_backend_pid() AS pid");
  await admin.query("SELECT pg_terminate_backend($1)", [rows[0]?.["pid"]]);
  await until(
    "it is noticed",
    () => sumOf(read(), "db_client_connection_errors_total", { source: "invalidate" }) === 1,
  );
  // A statement is tried again twice.
  const failing = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '55P03'; END $$";
  await assertRejects(() => manager.executeQueryWithRetry(failing, [], 2, 1));

  // The connection that broke is replaced.
  await until("a connection is idle", () => manager.idleCount > 0);
  const { totalAcquired, totalReleased, totalCreated, totalTimeouts } = manager.getStats();
  const after = read();
  assertEquals(sumOf(after, "db_client_connection_timeouts_total"), 2);
  assertEquals(totalTimeouts, 2);
  assertEquals(sumOf(after, "db_client_connection_lane_timeouts_total", { db_client_connection_lane: "low" }), 1);
  assertEquals(sumOf(after, "db_client_connection_lane_timeouts_total"), 2);
  assertEquals(sumOf(after, "db_client_retries_total"), 2);
  assertEquals(sumOf(after, "db_client_connection_created_total"), totalCreated);
  assertEquals(sumOf(after, "db_client_connection_create_time_seconds_count"), totalCreated);
  assertEquals(sumOf(after, "db_client_connection_wait_time_seconds_count"), totalAcquired);
  assertEquals(sumOf(after, "db_client_connection_use_time_seconds_count"), totalReleased);
  assertEquals(sumOf(after, "db_client_connection_wait_time_seconds_bucket", { le: "+Inf" }), totalAcquired);
  assertEquals(sumOf(after, "db_client_circuit_state", { target: "postgres" }), 0);
  manager.setMemoryLow(true);
  await until("memory is low", () => sumOf(read(), "db_client_connection_memory_low_total") === 1);
  manager.setMemoryLow(false);

  // The server is away.
  await proxy[Symbol.asyncDispose]();
  await until(
    "a check fails",
    async () => {
      await manager.healthCheck();
      await manager.query("SELECT 1", [], { acquireTimeoutMs: 100 }).catch(() => {});
      return sumOf(read(), "db_client_circuit_opened_total", { target: "postgres" }) >= 1;
    },
    30_000,
    20,
  );
  const away = read();
  assertGreaterOrEqual(sumOf(away, "db_client_connection_health_check_failures_total"), 1);
  assertGreaterOrEqual(sumOf(away, "db_client_connection_errors_total", { source: "create" }), 1);

  await manager.shutdown();
  await until("its end", () => sumOf(read(), "db_client_connection_max") === 0);
  const ended = read();
  assertEquals(sumOf(ended, "db_client_connections"), 0);
  const { totalDestroyed } = manager.getStats();
  assertEquals(sumOf(ended, "db_client_connection_destroyed_total"), totalDestroyed);
  assertEquals(sumOf(ended, "db_client_connection_lifetime_seconds_count"), totalDestroyed);
  assertEquals(sumOf(ended, "db_client_connection_created_total"), manager.getStats().totalCreated);
  if (!promtool.ignore) assertEquals(await checkMetrics(ended), { code: 0, output: "" });

  // Each name was there, but those of what did not happen.
  const seen = new Set([...exposedBy(busy), ...exposedBy(away)]);
  const unseen = namesOf(OPEN_TELEMETRY, OTHERS).filter((each) => !seen.has(each)).map((each) => each.split(" ")[0]);
  assertEquals(unseen, [
    "db_client_connection_leaks_total",
    "db_client_connection_limit_changes_total",
    "db_client_recovery_time_seconds",
  ]);
});

Deno.test("withPooledPostgres shows the circuit and the failures of its server in GET /<name>/health/metrics", async () => {
  await using project = startFakeProject();
  const quiet = { minConnections: 0, maxConnections: 2, healthCheckIntervalMs: 0, connectionTimeoutMs: 1_000 };
  const address = { host: "127.0.0.1", port: freePort(), database: "postgres", user: "postgres", password: "secret" };
  await using manager = new PostgresConnectionManager({ ...quiet, ...address, circuitBreaker: { openMs: 60_000 } });
  const handle = withPooledPostgres<unknown>(
    {
      auth: "none",
      variables: environment(project.url),
      postgres: () => manager,
      metrics: { registry: new MetricsRegistry() },
      log: () => {},
    },
    async (_request, { postgres }) => Response.json((await postgres.query("select 1")).rows),
  );
  await until("the circuit is open", async () => {
    const response = await handle(new Request("http://localhost/f"));
    return (await response.json()).code === "CIRCUIT_OPEN";
  });
  const response = await handle(new Request("http://localhost/f/health/metrics", { headers: { apikey: SECRET } }));
  const text = await response.text();
  assertEquals(response.status, 200);
  const postgres = { db_client_connection_pool_name: "postgres", target: "postgres" };
  assertEquals(sumOf(text, "db_client_circuit_state", postgres), 2);
  // It opened before metrics were loaded; a probe that fails opens it again.
  const opened = { ...postgres, reason: "consecutive failures" };
  assertEquals(sumOf(text, "db_client_circuit_opened_total", opened), 1);
  assertGreaterOrEqual(sumOf(text, "db_client_operation_duration_seconds_count", { error_type: "ECONNREFUSED" }), 1);
  assertGreaterOrEqual(sumOf(text, "db_client_connection_errors_total", { error_type: "ECONNREFUSED" }), 1);
  const failed = { http_response_status_code: "503", error_type: "CIRCUIT_OPEN" };
  assertGreaterOrEqual(sumOf(text, "http_server_request_duration_seconds_count", failed), 1);
  assertEquals(text.includes("secret"), false);
});
