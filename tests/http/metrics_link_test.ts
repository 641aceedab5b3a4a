/** MetricsLink: what it keeps until metrics are loaded, and what it passes on. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { areMetricsOn, MetricsLink, metricsLinkOf } from "../../shared/http/metrics/metrics_link.ts";
import { RequestReports } from "../../shared/http/request/request_reports.ts";
import { MetricsRegistry, type MetricsSnapshot } from "../../shared/observability/mod.ts";
import type { RequestPool } from "../support/http.ts";
import { StatementObservers } from "../../shared/postgres/query/statement_observer.ts";
import type { StatementObserver } from "../../shared/postgres/mod.ts";
import { ScriptedPool } from "../observability/metrics/scripted_pool.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { testPool } from "../support/pool.ts";
import { FakePool } from "./fake_pools.ts";

/** Returns the sum of all series of a metric: values, or counts of a histogram. */
function sumOf(snapshot: MetricsSnapshot | undefined, name: string): number | undefined {
  const series = snapshot?.metrics.find((metric) => metric.name === name)?.series;
  return series?.reduce((sum, { value, counts = [] }) => sum + (value ?? counts.reduce((a, b) => a + b, 0)), 0);
}

function linkOf(clock = new FakeClock()) {
  const registry = new MetricsRegistry();
  const link = new MetricsLink({ registry }, clock);
  const reports = new RequestReports();
  link.attach(reports);
  const request = new Request("https://x.test/budgets");
  const respond = (status = 200) =>
    reports.emit({ request, status, error: undefined, durationMs: 5, verifyMs: 1, waitedMs: 2, upstreamMs: 3 });
  return { link, clock, registry, respond };
}

/** A pool of the core, as a handler sees it. */
function poolOf(more: Partial<RequestPool<never>> = {}) {
  const { pool, clock } = testPool({ maxConnections: 2 });
  const shown = Object.assign(new FakePool(), {
    getStats: () => pool.getStats(),
    on: pool.on.bind(pool),
    record: pool.record.bind(pool),
    config: { ...new FakePool().config, minConnections: 1 },
    ...more,
  }) as unknown as RequestPool<never>;
  return { pool, clock, shown };
}

Deno.test("MetricsLink passes on what happened before metrics were loaded, at most 1,000 of each", async () => {
  const { link, respond } = linkOf();
  const { pool, shown } = poolOf({ kind: "user" as never });
  link.watch(shown);
  // Once, however often a handler uses it.
  link.watch(shown);
  for (let i = 0; i < 1_200; i++) {
    (await pool.lease()).release();
    respond();
  }
  assertEquals(link.snapshot(), undefined);
  await link.load();
  const counts = (name: string) => sumOf(link.snapshot(), name);
  assertEquals(counts("http_server_request_duration_seconds"), 1_000);
  assertEquals(counts("db_client_connection_wait_time_seconds"), 1_000);
  assertEquals(counts("db_client_connection_use_time_seconds"), 1_000);
  assertEquals(counts("db_client_connection_create_time_seconds"), 1);
  assertEquals(counts("db_client_connection_created_total"), 1);
  (await pool.lease()).release();
  respond();
  assertEquals(counts("http_server_request_duration_seconds"), 1_001);
  assertEquals(counts("db_client_connection_use_time_seconds"), 1_001);
  await pool.shutdown();
});

Deno.test("MetricsLink passes on the events of a pool before metrics were loaded, at most 1,000 of a kind", async () => {
  const { link } = linkOf();
  const scripted = new ScriptedPool();
  const { pool, shown } = poolOf({ on: scripted.on.bind(scripted) as never });
  link.watch(shown);
  for (let i = 0; i < 1_200; i++) {
    scripted.emit("called", { durationMs: 3, method: "GET", status: 503, error: undefined });
  }
  scripted.emit("circuitOpened", { target: "rest", reason: "failure ratio" });
  scripted.emit("error", { error: { code: "ECONNREFUSED" }, source: "create" });
  scripted.emit("healthCheck", { healthy: false });
  await link.load();
  const counts = (name: string) => sumOf(link.snapshot(), name);
  assertEquals(counts("db_client_operation_duration_seconds"), 1_000);
  assertEquals(counts("db_client_circuit_opened_total"), 1);
  assertEquals(counts("db_client_connection_errors_total"), 1);
  assertEquals(counts("db_client_connection_health_check_failures_total"), 1);
  scripted.emit("healthCheck", { healthy: false });
  assertEquals(counts("db_client_connection_health_check_failures_total"), 2);
  await pool.shutdown();
});

Deno.test("MetricsLink counts each statement once: before metrics were loaded, meanwhile and afterwards", async () => {
  const { link } = linkOf();
  const observers = new StatementObservers();
  const { pool, shown } = poolOf({
    statements: { observeStatements: (observer: StatementObserver) => observers.add(observer) },
  });
  link.watch(shown);
  const times = { waitedMs: 1, connectMs: 2, executionMs: 3 };
  const run = <T>(text: string, work: () => Promise<T>) =>
    observers.current?.observe({ kind: "statement", texts: [text] }, times, work);
  assertEquals(await run("SELECT 1", () => Promise.resolve(7)), 7);
  const failure = Object.assign(new Error("taken"), { code: "23505" });
  await assertRejects(async () => await run("INSERT INTO a", () => Promise.reject(failure)), Error, "taken");
  const { promise, resolve } = Promise.withResolvers<void>();
  const underWay = run("UPDATE a", () => promise);
  await link.load();
  resolve();
  await underWay;
  await run("DELETE FROM a", () => Promise.resolve());
  const { metrics = [] } = link.snapshot() ?? {};
  const operations = metrics.find(({ name }) => name === "db_client_operation_duration_seconds")?.series ?? [];
  const shownOperations = operations.map(({ labels: { db_operation_name, error_type }, sum, counts = [] }) =>
    [db_operation_name, error_type, sum, counts.reduce((a, b) => a + b, 0)] as const
  );
  assertEquals(shownOperations.toSorted(), [
    ["DELETE", undefined, 0.006, 1],
    ["INSERT", "23505", 0.006, 1],
    ["SELECT", undefined, 0.006, 1],
    ["UPDATE", undefined, 0.006, 1],
  ]);
  await pool.shutdown();
});

Deno.test("MetricsLink keeps the counts of a pool that is shut down before metrics are loaded, and shows no values of it", async () => {
  const { link } = linkOf();
  const { pool, shown } = poolOf();
  link.watch(shown);
  (await pool.lease()).release();
  await pool.shutdown();
  await settle();
  await link.load();
  const snapshot = link.snapshot();
  assertEquals(sumOf(snapshot, "db_client_connection_created_total"), 1);
  assertEquals(sumOf(snapshot, "db_client_connection_destroyed_total"), 1);
  assertEquals(snapshot?.metrics.filter(({ type }) => type === "gauge"), []);
});

Deno.test("MetricsLink reports the parts of a request apart, in seconds", async () => {
  const { link, respond } = linkOf();
  await link.load();
  respond();
  const { metrics = [] } = link.snapshot() ?? {};
  const parts = metrics.find(({ name }) => name === "http_server_request_part_seconds")?.series ?? [];
  assertEquals(parts.map(({ labels, sum }) => [labels["part"], sum]), [
    ["verify", 0.001],
    ["wait", 0.002],
    ["upstream", 0.003],
  ]);
});

Deno.test("MetricsLink loads after the first response, keeps the isolate until then, and observes later pools at once", async () => {
  const kept: Promise<unknown>[] = [];
  Reflect.set(globalThis, "EdgeRuntime", { waitUntil: (promise: Promise<unknown>) => kept.push(promise) });
  try {
    const { link, clock, respond } = linkOf();
    respond();
    respond();
    assertEquals([kept.length, link.snapshot()], [1, undefined]);
    await clock.advance(0);
    await kept[0];
    assertEquals(sumOf(link.snapshot(), "http_server_request_duration_seconds"), 2);
    const { pool, shown } = poolOf();
    link.watch(shown);
    const name = link.snapshot()?.metrics.find(({ name }) => name === "db_client_connection_max")?.series[0]?.labels;
    assertEquals(name, { db_client_connection_pool_name: "pool" });
    await pool.shutdown();
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
});

Deno.test("MetricsLink goes on after a failure to load", async () => {
  const { link, clock, respond } = linkOf();
  const { pool, shown } = poolOf({ kind: "user" as never });
  let isBroken = false;
  const record = shown.record?.bind(shown);
  Object.assign(shown, {
    record: (recorder: never) => {
      if (isBroken) throw new Error("broken");
      return record?.(recorder);
    },
  });
  link.watch(shown);
  respond();
  isBroken = true;
  await assertRejects(() => link.load(), Error, "broken");
  // No caller sees the failure: the response is sent.
  await clock.advance(0);
  await link.load();
  assertEquals(sumOf(link.snapshot(), "http_server_request_duration_seconds"), 1);
  await pool.shutdown();
});

Deno.test("MetricsLink shows the circuit and the retries of Postgres beside those of the client pool", async () => {
  const { link } = linkOf();
  const budget = (totalRetries: number, refused: number) => ({ totalRetries, getStats: () => ({ refused }) });
  let state = "open";
  const { pool, shown } = poolOf({
    component: "postgres",
    retryBudget: budget(2, 1) as never,
    limits: { maxConnections: 2, minConnections: 1, reservedConnections: 0 },
    circuits: { snapshot: () => ({ rest: { state: "closed" } }), seed: () => {} },
    statements: {
      observeStatements: () => ({ [Symbol.dispose]: () => {} }),
      retryBudget: budget(5, 3),
      get circuit() {
        return { snapshot: () => ({ state }) };
      },
    } as never,
  });
  link.watch(shown);
  await link.load();
  const read = (name: string) => sumOf(link.snapshot(), name);
  assertEquals(read("db_client_retries_total"), 7);
  assertEquals(read("db_client_retries_refused_total"), 4);
  assertEquals(read("db_client_circuit_state"), 2);
  assertEquals(read("db_client_connection_idle_min"), 1);
  state = "closed";
  assertEquals(read("db_client_circuit_state"), 0);
  await pool.shutdown();
});

Deno.test("MetricsLink observes a pool that has statistics only", async () => {
  const { link } = linkOf();
  link.watch(new FakePool() as unknown as RequestPool<never>);
  await link.load();
  assertEquals(sumOf(link.snapshot(), "db_client_connections"), 8);
  assertEquals(sumOf(link.snapshot(), "db_client_retries_total"), 0);
});

Deno.test("metricsLinkOf() returns the link of the isolate, one for each other registry, and none where metrics are off", () => {
  const on = { metrics: true, secretKey: undefined };
  assertStrictEquals(metricsLinkOf(on, undefined), metricsLinkOf(on, true));
  const registry = new MetricsRegistry();
  assertStrictEquals(metricsLinkOf(on, undefined), metricsLinkOf(on, {}));
  assertStrictEquals(metricsLinkOf(on, { registry }), metricsLinkOf(on, { registry }));
  assertEquals(metricsLinkOf(on, { registry }) === metricsLinkOf(on, { registry: new MetricsRegistry() }), false);
  assertEquals(metricsLinkOf(on, { registry }) === metricsLinkOf(on, true), false);
  assertEquals(metricsLinkOf({ metrics: false, secretKey: undefined }, undefined), undefined);
});

Deno.test("areMetricsOn() is true by default in an edge function with a secret key only", () => {
  Reflect.set(globalThis, "EdgeRuntime", {});
  try {
    assertEquals(areMetricsOn({ metrics: undefined, secretKey: "sb_secret_x" }, undefined), true);
    assertEquals(areMetricsOn({ metrics: undefined, secretKey: undefined }, undefined), false);
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
  assertEquals(areMetricsOn({ metrics: undefined, secretKey: "sb_secret_x" }, undefined), false);
});
