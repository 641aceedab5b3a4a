import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  mergeSnapshots,
  MetricError,
  MetricsRegistry,
  observePool,
  parseSnapshot,
  toPrometheusText,
} from "../../../shared/observability/mod.ts";
import { testPool } from "../../support/pool.ts";
import { checkMetrics, promtool } from "../../support/promtool.ts";
import { ScriptedPool } from "./scripted_pool.ts";

/** One line of the text format, strictly. */
const LINE =
  /^(?:# HELP [a-z][a-z0-9_]* [^\n]+|# TYPE [a-z][a-z0-9_]* (?:counter|gauge|histogram)|[a-z][a-z0-9_]*(?:\{(?:[a-zA-Z][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-zA-Z]))?)+\})? -?[0-9.e+-]+)$/;

/** Text that breaks formats, and any other. */
const hostile = fc.oneof(
  fc.constantFrom(
    '"',
    "\\",
    "\n",
    '"} 1\n',
    "\\n",
    "{",
    "le",
    "__name__",
    "x_total",
    "x_count",
    "\u2028",
    "\ud800",
    "# EOF",
    "",
    "x".repeat(10_000),
    `${"x".repeat(63)}\u{1F600}`,
    "\udc00\ud800",
  ),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ maxLength: 30 }),
);

/** Creates and records what a caller says; an invalid name is an error with a code. */
function record(
  registry: MetricsRegistry,
  name: string,
  label: string,
  value: string,
  help: string,
  kind: number,
): void {
  try {
    const options = { help, labels: [label] };
    const labels = { [label]: value };
    if (kind === 0) registry.counter(name, options).add(1, labels);
    else if (kind === 1) registry.gauge(name, options).set(kind, labels);
    else registry.histogram(name, options).observe(kind, labels);
  } catch (error) {
    if (!(error instanceof MetricError)) throw error;
  }
}

Deno.test("metrics keep what a listener of a program throws from the counts, and from other listeners", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const registry = new MetricsRegistry();
  const fail = () => {
    throw new Error("a fault of the program");
  };
  for (const event of ["created", "acquired", "released", "destroyed", "closed", "error"] as const) {
    pool.on(event, fail);
  }
  pool.record({ waitTime: fail, useTime: fail });
  observePool(registry, pool, "x", clock);
  (await pool.lease()).release();
  await pool.shutdown();
  const { metrics } = registry.snapshot();
  const countOf = (name: string) => {
    const series = metrics.find((metric) => metric.name === name)?.series[0];
    return series?.value ?? series?.counts?.reduce((sum, count) => sum + count, 0);
  };
  assertEquals(countOf("db_client_connection_wait_time_seconds"), 1);
  assertEquals(countOf("db_client_connection_use_time_seconds"), 1);
  assertEquals(countOf("db_client_connection_create_time_seconds"), 1);
  assertEquals(countOf("db_client_connection_destroyed_total"), 1);
  assertEquals(countOf("db_client_connection_errors_total"), undefined);
});

Deno.test("observePool() bounds what callers and errors name: methods, codes and targets", () => {
  const registry = new MetricsRegistry();
  const pool = new ScriptedPool();
  observePool(registry, pool, "x");
  for (let i = 0; i < 1_000; i++) {
    pool.emit("called", { durationMs: i, method: `M${i}`, status: undefined, error: { code: `E${i}` } });
    pool.emit("called", { durationMs: NaN, method: "GET\n", status: 200, error: undefined });
    pool.emit("error", { error: { code: `\ud800"${i}\n` }, source: "create" });
    pool.emit("circuitOpened", { target: `functions/${i}\\"\n`, reason: "x".repeat(10_000) });
    pool.emit("timedOut", { lane: `${i}` });
  }
  const snapshot = registry.snapshot();
  for (const { name, series } of snapshot.metrics) assertEquals(series.length <= 51, true, name);
  const bad = toPrometheusText(snapshot).split("\n").slice(0, -1).filter((line) => !LINE.test(line));
  assertEquals(bad, []);
  assertEquals(toPrometheusText(snapshot).length < 200_000, true);
});

Deno.test(`toPrometheusText() writes valid lines whatever names, labels and values a caller passes${promtool.note}`, async () => {
  const registry = new MetricsRegistry();
  const merged: unknown[] = [];
  fc.assert(
    fc.property(
      hostile,
      hostile,
      hostile,
      hostile,
      fc.integer({ min: 0, max: 2 }),
      (name, label, value, help, kind) => {
        record(registry, name, label, value, help, kind);
        record(registry, `metric_${kind}${kind === 0 ? "_total" : ""}`, "label", value, help, kind);
        const series = [{ labels: { [label]: value }, value: 1, counts: [1, 2], sum: 3 }];
        merged.push({ metrics: [{ name, type: ["counter", "gauge", "histogram"][kind], help, bounds: [1], series }] });
      },
    ),
    { seed: 7, numRuns: 500 },
  );
  const snapshot = registry.snapshot();
  for (const { series } of snapshot.metrics) assertEquals(series.length <= 51, true);
  const text = toPrometheusText(mergeSnapshots([snapshot, ...merged.map(parseSnapshot)]));
  const bad = text.split("\n").slice(0, -1).filter((line) => !LINE.test(line));
  assertEquals(bad, []);
  // 3: advice on names that the caller has chosen.
  if (!promtool.ignore) assertEquals((await checkMetrics(text)).code === 1, false);
});
