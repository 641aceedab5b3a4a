import { assertEquals } from "@std/assert";
import {
  AGE_BUCKETS,
  labelSnapshot,
  mergeSnapshots,
  MetricsRegistry,
  type MetricsSnapshot,
  parseSnapshot,
  quantileOf,
  TIME_BUCKETS,
  toPrometheusText,
} from "../../../shared/observability/mod.ts";

function isolate(active: number, waits: readonly number[], buckets?: readonly number[]): MetricsSnapshot {
  const registry = new MetricsRegistry();
  registry.gauge("active", { labels: ["pool"] }).set(active, { pool: "user" });
  registry.gauge("share", { merge: "max" }).set(active / 10);
  registry.counter("errors_total", { labels: ["code"] }).add(active, { code: `E${active}` });
  const wait = registry.histogram("wait_seconds", buckets ? { buckets } : {});
  for (const each of waits) wait.observe(each);
  // As it comes from another isolate.
  return JSON.parse(JSON.stringify(registry.snapshot()));
}

function seriesOf(snapshot: MetricsSnapshot, name: string) {
  return snapshot.metrics.find((metric) => metric.name === name)?.series;
}

Deno.test("mergeSnapshots() adds up series with equal labels, and takes the largest share", () => {
  const merged = mergeSnapshots([isolate(2, [0.001, 40]), isolate(3, [0.004])]);
  assertEquals(seriesOf(merged, "active"), [{ labels: { pool: "user" }, value: 5 }]);
  assertEquals(seriesOf(merged, "share"), [{ labels: {}, value: 0.3 }]);
  assertEquals(seriesOf(merged, "errors_total")?.length, 2);
  const [wait] = seriesOf(merged, "wait_seconds") ?? [];
  assertEquals([wait?.counts?.[0], wait?.counts?.[2], wait?.counts?.[14]], [1, 1, 1]);
  assertEquals(wait?.sum?.toFixed(6), "40.005000");
});

Deno.test("mergeSnapshots() keeps isolates apart that labelSnapshot() has labeled", () => {
  const labeled = ["a", "b"].map((name, at) => labelSnapshot(isolate(at + 1, []), { isolate: name, pool: "fleet" }));
  assertEquals(seriesOf(mergeSnapshots(labeled), "active"), [
    { labels: { pool: "fleet", isolate: "a" }, value: 1 },
    { labels: { pool: "fleet", isolate: "b" }, value: 2 },
  ]);
});

Deno.test("mergeSnapshots() adds up series whose labels are in another order", () => {
  const snapshots = [{ a: "1", b: "2" }, { b: "2", a: "1" }].map((labels): MetricsSnapshot => ({
    version: 1,
    metrics: [{ name: "size", type: "gauge", help: "size", series: [{ labels, value: 2 }] }],
  }));
  assertEquals(seriesOf(mergeSnapshots(snapshots), "size"), [{ labels: { a: "1", b: "2" }, value: 4 }]);
});

Deno.test("mergeSnapshots() keeps all series of a metric that has as many as it may, and that of all others", () => {
  const registry = new MetricsRegistry();
  const sent = registry.counter("sent_total", { labels: ["to"], maxSeries: 500 });
  for (let i = 0; i < 600; i++) sent.add(1, { to: `${i}` });
  const series = seriesOf(mergeSnapshots([registry.snapshot()]), "sent_total") ?? [];
  assertEquals([series.length, series.at(-1)], [501, { labels: { to: "other" }, value: 100 }]);
});

Deno.test("mergeSnapshots() keeps values in a bucket whose bound both have", () => {
  const first = isolate(1, [0.5], [1, 5, 10]);
  const second = isolate(1, [0.5, 3, 70], [1, 5]);
  const [wait] = seriesOf(mergeSnapshots([first, second]), "wait_seconds") ?? [];
  assertEquals(wait?.counts, [2, 1, 0, 1]);
  // As many buckets, with others.
  const [moved] = seriesOf(mergeSnapshots([isolate(1, [0.5], [1, 10]), isolate(1, [1.5], [2, 10])]), "wait_seconds") ??
    [];
  assertEquals(moved?.counts, [1, 1, 0]);
});

Deno.test("mergeSnapshots() moves other buckets into the first ones, and leaves out another kind", () => {
  const first = isolate(1, [0.5], [1, 10]);
  const second = isolate(1, [0.5, 3, 20, 70], [0.6, 5, 60]);
  const [wait] = seriesOf(mergeSnapshots([first, second]), "wait_seconds") ?? [];
  assertEquals(wait?.counts, [2, 1, 2]);
  const registry = new MetricsRegistry();
  registry.histogram("active").observe(1);
  assertEquals(seriesOf(mergeSnapshots([first, registry.snapshot()]), "active")?.length, 1);
});

Deno.test("parseSnapshot() leaves out what is not valid", () => {
  const valid = { labels: { a: "x" }, value: 1 };
  const parsed = parseSnapshot({
    metrics: [
      {
        name: "size",
        type: "gauge",
        help: "a\nb",
        series: [valid, { value: "1" }, null, { labels: { "a b": "y" }, value: 2 }],
      },
      { name: "bad name", type: "gauge", series: [valid] },
      { name: "size_total", type: "gauge", series: [valid] },
      { name: "sent", type: "counter", series: [valid] },
      { name: "sent_total", type: "counter", series: [{ value: -1 }, { labels: { le: "1" }, value: 3 }] },
      { name: "odd", type: "summary", series: [valid] },
      { name: "times", type: "histogram", bounds: [2, 1], series: [] },
      { name: "waits", type: "histogram", bounds: [1], series: [{ sum: 1, counts: [1, "2", 3, 4] }, { sum: null }] },
      7,
    ],
  });
  assertEquals(parsed.metrics, [
    { name: "size", type: "gauge", help: "a b", series: [valid, { labels: {}, value: 2 }] },
    { name: "sent_total", type: "counter", help: "sent_total", series: [{ labels: {}, value: 3 }] },
    { name: "waits", type: "histogram", help: "waits", bounds: [1], series: [{ labels: {}, counts: [1, 0], sum: 1 }] },
  ]);
  for (const bad of [undefined, null, 7, "x", [], { metrics: 7 }]) assertEquals(parseSnapshot(bad).metrics, []);
  // A metric without a valid series is not shown.
  assertEquals(toPrometheusText(parseSnapshot({ metrics: [{ name: "size", type: "gauge", series: [7] }] })), "");
});

Deno.test("toPrometheusText() writes counters, gauges and cumulative buckets", () => {
  const registry = new MetricsRegistry();
  registry.counter("sent_total", { help: "Sent \\ received.", labels: ["to"] }).add(2, { to: 'a"b\\c' });
  registry.gauge("empty");
  registry.gauge("size").set(-1.5);
  const times = registry.histogram("times_seconds", { help: "Times.", labels: ["by"], buckets: [0.1, 1] });
  for (const value of [0.05, 0.5, 2]) times.observe(value, { by: "x" });
  assertEquals(
    toPrometheusText(registry.snapshot()),
    String.raw`# HELP sent_total Sent \\ received.
# TYPE sent_total counter
sent_total{to="a\"b\\c"} 2
# HELP size size
# TYPE size gauge
size -1.5
# HELP times_seconds Times.
# TYPE times_seconds histogram
times_seconds_bucket{by="x",le="0.1"} 1
times_seconds_bucket{by="x",le="1"} 2
times_seconds_bucket{by="x",le="+Inf"} 3
times_seconds_sum{by="x"} 2.55
times_seconds_count{by="x"} 3
`,
  );
  assertEquals(toPrometheusText([isolate(1, []), isolate(2, [])]).match(/^active.*$/m)?.[0], 'active{pool="user"} 3');
});

Deno.test("TIME_BUCKETS and AGE_BUCKETS are in seconds, and stay what dashboards and other isolates expect", () => {
  assertEquals(TIME_BUCKETS, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]);
  assertEquals(AGE_BUCKETS, [1, 5, 15, 30, 60, 300, 900, 1_800, 3_600]);
});

Deno.test("quantileOf() interpolates within a bucket, and returns the last bound beyond it", () => {
  assertEquals(quantileOf([1, 2], [0, 4, 0], 0.5), 1.5);
  assertEquals(quantileOf([1, 2], [4], 0.25), 0.25);
  assertEquals(quantileOf([1, 2], [0, 0, 3], 0.5), 2);
  assertEquals(quantileOf(TIME_BUCKETS, [], 0.5), NaN);
  assertEquals(quantileOf([-1, 1], [2, 2], 0.5), -1);
  assertEquals([0, 1].map((share) => quantileOf([1, 2, 3], [0, 2, 0], share)), [1, 2]);
});
