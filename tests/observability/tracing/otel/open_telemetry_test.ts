/** Spans of statements and metrics of pools. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  installOpenTelemetry,
  OpenTelemetry,
  type TracedTimes,
  type TracedWork,
} from "../../../../shared/observability/mod.ts";
import { propagatesItself } from "../../../../shared/observability/tracing/otel/api.ts";
import { operationOf, summaryOf } from "../../../../shared/observability/tracing/otel/operation_name.ts";
import { registerFakeProvider } from "./fake_provider.ts";
import * as api from "@opentelemetry/api";

type Observe = <T>(work: TracedWork, times: TracedTimes, run: () => Promise<T>) => Promise<T>;

/** OpenTelemetry on a fake provider, and a pool whose statements are traced. */
function setUp(config?: { host?: string; port?: number; database?: string }) {
  const provider = registerFakeProvider();
  installOpenTelemetry(api);
  const telemetry = OpenTelemetry.ofIsolate();
  let observe: Observe | undefined;
  const subscription = telemetry.observeStatements({
    observeStatements: (observer) => {
      observe = (work, times, run) => observer.observe(work, times, run);
      return { [Symbol.dispose]: () => observe = undefined };
    },
    ...(config && { config }),
  });
  const run: Observe = (work, times, run) => observe ? observe(work, times, run) : run();
  return { provider, telemetry, subscription, run, [Symbol.dispose]: () => provider[Symbol.dispose]() };
}

Deno.test("OpenTelemetry.ofIsolate() throws where no API is installed, and says what to do", () => {
  // Not an import of the module under another URL: what is not in the graph of the test is compiled while it runs.
  installOpenTelemetry(undefined as never);
  assertThrows(
    () => OpenTelemetry.ofIsolate(),
    Error,
    "Import @opentelemetry/api, and pass it to installOpenTelemetry()",
  );
  installOpenTelemetry(api);
});

const TIMES = { waitedMs: 10, connectMs: 20, executionMs: 30 };

const statement = (...texts: string[]): TracedWork => ({ kind: "statement", texts });

Deno.test("OpenTelemetry.observeStatements() creates a span and a measurement for each, in seconds and without text", async () => {
  using rig = setUp({ host: "db.test", port: 5432, database: "app" });
  assertEquals(await rig.run(statement("SELECT 'secret'"), TIMES, () => Promise.resolve(7)), 7);
  const target = {
    "db.system.name": "postgresql",
    "db.namespace": "app",
    "server.address": "db.test",
    "server.port": 5432,
    "db.operation.name": "SELECT",
  };
  const [span] = rig.provider.spans;
  assertEquals([span?.name, span?.kind, span?.ended, span?.status], ["SELECT", 2, 1, 0]);
  assertEquals(span?.attributes, {
    ...target,
    "supabase_pool.wait_time": 0.01,
    "supabase_pool.connect_time": 0.02,
    "supabase_pool.execution_time": 0.03,
  });
  assertEquals(rig.provider.measurements, [{ name: "db.client.operation.duration", value: 0.06, attributes: target }]);
  rig.subscription[Symbol.dispose]();
  await rig.run(statement("SELECT 1"), TIMES, () => Promise.resolve());
  assertEquals(rig.provider.spans.length, 1);
});

Deno.test("OpenTelemetry.observeStatements() nests statements in their transaction, and counts those of a list", async () => {
  using rig = setUp({ host: "/var/run", port: 5432 });
  await rig.run({ kind: "transaction", texts: [] }, TIMES, async () => {
    await rig.run(statement("insert into t values (1)"), TIMES, () => Promise.resolve());
  });
  await rig.run({ kind: "list", texts: ["DELETE FROM t", "delete from u"] }, TIMES, () => Promise.resolve());
  const [transaction, insert, list] = rig.provider.spans;
  assertEquals(rig.provider.spans.map(({ name }) => name), ["TRANSACTION", "INSERT", "BATCH DELETE"]);
  assertEquals(insert?.parentId, transaction?.spanId);
  assertEquals(list?.attributes["db.operation.batch.size"], 2);
  assertEquals([list?.attributes["server.address"], list?.attributes["server.port"]], ["/var/run", undefined]);
});

Deno.test("OpenTelemetry.observeStatements() reports the code of a failure, and no message", async () => {
  using rig = setUp();
  const failures = [
    { code: "23505", message: "secret" },
    { code: "QUERY_TIMEOUT" },
    { code: "a b" },
    undefined,
    "text",
  ];
  for (const failure of failures) {
    await rig.run(statement("SELECT 1"), TIMES, () => Promise.reject(failure)).catch((error) => {
      assertEquals(error, failure);
    });
  }
  await assertRejects(() => rig.run(statement("SELECT 1"), TIMES, () => Promise.reject(new Error("secret"))), Error);
  assertEquals(
    rig.provider.spans.map(({ status, ended, attributes }) => [
      ...[status, ended, attributes["error.type"], attributes["db.response.status_code"]],
    ]),
    [
      [2, 1, "23505", "23505"],
      [2, 1, "QUERY_TIMEOUT", undefined],
      ...Array(4).fill([2, 1, "_OTHER", undefined]),
    ],
  );
  assertEquals(rig.provider.measurements.map(({ attributes }) => attributes["error.type"]).slice(0, 2), [
    "23505",
    "QUERY_TIMEOUT",
  ]);
  assertEquals(JSON.stringify(rig.provider).includes("secret"), false);
});

Deno.test("operationOf() names commands of a fixed list only", () => {
  const names: Record<string, string> = {
    "select 1": "SELECT",
    "  \n(SELECT 1)": "SELECT",
    "-- a comment\nUPDATE t SET a = 1": "UPDATE",
    "/* a */ /* b **/ WITH x AS (SELECT 1) SELECT 1": "WITH",
    "/* unclosed SELECT": "OTHER",
    ";": "OTHER",
    "": "OTHER",
    "secretvalue": "OTHER",
    "SELECTED": "OTHER",
    "merge into t": "MERGE",
  };
  for (const [text, name] of Object.entries(names)) assertEquals(operationOf(statement(text)), name, text);
  assertEquals(operationOf(statement(1 as never)), "OTHER");
  assertEquals(operationOf({ kind: "list", texts: [] }), "OTHER");
  assertEquals(operationOf({ kind: "list", texts: ["SELECT 1"] }), "SELECT");
  assertEquals(operationOf({ kind: "list", texts: ["SELECT 1", "DELETE FROM t"] }), "BATCH");
  assertEquals([summaryOf("OTHER"), summaryOf("SELECT")], ["postgresql", "SELECT"]);
  const hostile = "/*".repeat(100_000) + "(".repeat(100_000) + "--".repeat(100_000);
  assertEquals(operationOf(statement(hostile)), "OTHER");
});

Deno.test("OpenTelemetry.observePool() reports counts, limits and times of a pool, until it is disposed of", () => {
  using rig = setUp();
  let recorder: { waitTime(ms: number): void; useTime(ms: number): void } | undefined;
  let created: ((event: { readonly durationMs: number }) => void) | undefined;
  let ended = 0;
  const stats = {
    activeConnections: 3,
    idleConnections: 2,
    waitingForConnection: 4,
    totalTimeouts: 5,
    maxConnections: 9,
  };
  const observed = rig.telemetry.observePool("user", {
    config: { minConnections: 1 },
    getStats: () => stats,
    record: (each) => (recorder = each, { [Symbol.dispose]: () => ended++ }),
    on: (_name, listener) => (created = listener, { [Symbol.dispose]: () => ended++ }),
  });
  recorder?.waitTime(1_500);
  recorder?.useTime(20);
  created?.({ durationMs: 7 });
  const pool = { "db.client.connection.pool.name": "user" };
  assertEquals(rig.provider.measurements, [
    { name: "db.client.connection.wait_time", value: 1.5, attributes: pool },
    { name: "db.client.connection.use_time", value: 0.02, attributes: pool },
    { name: "db.client.connection.create_time", value: 0.007, attributes: pool },
  ]);
  const values = rig.provider.collect().map(({ name, value, attributes }) => {
    const state = attributes["db.client.connection.state"];
    return [name.replace("db.client.connection.", ""), value, ...state === undefined ? [] : [state]];
  });
  assertEquals(values, [
    ["count", 3, "used"],
    ["count", 2, "idle"],
    ["max", 9],
    ["idle.max", 9],
    ["idle.min", 1],
    ["pending_requests", 4],
    ["timeouts", 5],
  ]);
  const bare = { activeConnections: 0, idleConnections: 0, waitingForConnection: 0, maxConnections: Infinity };
  const replaced = rig.telemetry.observePool("user", { getStats: () => bare });
  observed[Symbol.dispose]();
  assertEquals([ended, rig.provider.collect().length], [2, 4]);
  replaced[Symbol.dispose]();
  assertEquals(rig.provider.collect(), []);
});

Deno.test("OpenTelemetry.observePool() reports limits that were changed, and timeouts that never fall", () => {
  using rig = setUp();
  const poolOf = (totalTimeouts: number) => ({
    limits: { minConnections: 4 },
    config: { minConnections: 1 },
    stats: { activeConnections: 0, idleConnections: 0, waitingForConnection: 0, totalTimeouts },
    getStats() {
      return this.stats;
    },
  });
  const read = (name: string) =>
    rig.provider.collect().find((each) => each.name === `db.client.connection.${name}`)?.value;
  const first = poolOf(5);
  const ended = rig.telemetry.observePool("user", first);
  assertEquals([read("idle.min"), read("timeouts"), read("timeouts")], [4, 5, 5]);
  first.stats.totalTimeouts = 7;
  // Another one replaces it, also one that was reported already.
  const second = poolOf(2);
  using _second = rig.telemetry.observePool("user", second);
  assertEquals(read("timeouts"), 9);
  const again = rig.telemetry.observePool("user", first);
  ended[Symbol.dispose]();
  again[Symbol.dispose]();
  assertEquals(read("timeouts"), undefined);
  using _third = rig.telemetry.observePool("user", second);
  second.stats.totalTimeouts = 3;
  assertEquals(read("timeouts"), 10);
});

Deno.test("propagatesItself() is true for the provider of the runtime only", () => {
  assertEquals(propagatesItself(api), false);
  const { telemetry } = Deno as { telemetry?: { tracerProvider?: unknown } };
  const ofRuntime = telemetry?.tracerProvider;
  if (ofRuntime === undefined) return;
  api.trace.setGlobalTracerProvider(ofRuntime as never);
  try {
    assertEquals(propagatesItself(api), true);
  } finally {
    api.trace.disable();
  }
});
