import { assertEquals, assertThrows } from "@std/assert";
import { MetricError, MetricsRegistry, parseSnapshot } from "../../../shared/observability/mod.ts";

function seriesOf(registry: MetricsRegistry, name: string) {
  return registry.snapshot().metrics.find((metric) => metric.name === name)?.series;
}

Deno.test("Counter adds up per series, and never falls", () => {
  const registry = new MetricsRegistry();
  const sent = registry.counter("sent_total", { help: "Sent.", labels: ["to"] });
  sent.add(2, { to: "a" });
  sent.inc({ to: "a" });
  sent.with({ to: "a" }).inc();
  for (const bad of [-1, NaN, Infinity]) sent.add(bad, { to: "a" });
  sent.add(1, { to: "b", other: "ignored" });
  assertEquals(seriesOf(registry, "sent_total"), [
    { labels: { to: "a" }, value: 4 },
    { labels: { to: "b" }, value: 1 },
  ]);
});

Deno.test("recording a value never throws, and ignores what is not a number", () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter("sent_total");
  const gauge = registry.gauge("size");
  const histogram = registry.histogram("times_seconds", { buckets: [1] });
  for (const bad of ["3", 3n, null, {}, [2], true, Symbol("s"), NaN] as unknown as number[]) {
    counter.add(bad);
    gauge.with().add(bad);
    histogram.observe(bad);
  }
  assertEquals(seriesOf(registry, "sent_total"), [{ labels: {}, value: 0 }]);
  assertEquals(seriesOf(registry, "size"), undefined);
  assertEquals(seriesOf(registry, "times_seconds"), [{ labels: {}, counts: [], sum: 0 }]);
  for (const bad of ["3", 3n, null, {}] as unknown as number[]) gauge.set(bad);
  assertEquals(seriesOf(registry, "size"), undefined);
  const labeled = registry.counter("labeled_total", { labels: ["to"] });
  labeled.add(1, null as unknown as Record<string, string>);
  assertEquals(seriesOf(registry, "labeled_total"), [{ labels: {}, value: 1 }]);
});

Deno.test("counts and sums stay finite, so that their series does not disappear", () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter("sent_total");
  const histogram = registry.histogram("times_seconds", { buckets: [1] });
  const gauge = registry.gauge("size");
  for (let i = 0; i < 4; i++) {
    counter.add(Number.MAX_VALUE);
    histogram.observe(Number.MAX_VALUE);
    gauge.with().add(-Number.MAX_VALUE);
  }
  const { metrics } = parseSnapshot(JSON.parse(JSON.stringify(registry.snapshot())));
  const [sent, times, size] = metrics.map(({ series }) => series[0]);
  assertEquals([sent?.value, times?.sum, size?.value], [Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE]);
  assertEquals(times?.counts, [0, 4]);
});

Deno.test("Gauge shows what was set, added or read, and hides what is not a finite number", () => {
  const registry = new MetricsRegistry();
  const size = registry.gauge("size", { labels: ["of"] });
  size.with({ of: "added" }).add(5);
  size.set(3, { of: "set" });
  size.with({ of: "set" }).add(-1);
  size.with({ of: "set" }).add(NaN);
  size.set(Infinity, { of: "endless" });
  size.observe(() => 7, { of: "read" });
  size.observe(() => {
    throw new Error("unknown");
  }, { of: "thrown" });
  assertEquals(seriesOf(registry, "size"), [
    { labels: { of: "added" }, value: 5 },
    { labels: { of: "set" }, value: 2 },
    { labels: { of: "read" }, value: 7 },
  ]);
});

Deno.test("Gauge.observe() ends with its subscription, and not with that of an earlier observer", () => {
  const registry = new MetricsRegistry();
  const size = registry.gauge("size");
  const first = size.observe(() => 1);
  const second = size.observe(() => 2);
  first[Symbol.dispose]();
  assertEquals(seriesOf(registry, "size"), [{ labels: {}, value: 2 }]);
  second[Symbol.dispose]();
  assertEquals(seriesOf(registry, "size"), undefined);
  size.set(4);
  assertEquals(seriesOf(registry, "size"), [{ labels: {}, value: 4 }]);
});

Deno.test("Histogram counts each value in the first bucket whose bound is not smaller", () => {
  const registry = new MetricsRegistry();
  const times = registry.histogram("times_seconds", { buckets: [1, 2] });
  for (const value of [0.5, 1, 1.5, 9, -3, NaN, Infinity]) times.observe(value);
  assertEquals(seriesOf(registry, "times_seconds"), [{ labels: {}, counts: [3, 1, 1], sum: 12 }]);
});

Deno.test("an instrument has at most maxSeries series and one for all others", () => {
  const registry = new MetricsRegistry();
  const sent = registry.counter("sent_total", { labels: ["to", "by"], maxSeries: 3 });
  for (let i = 0; i < 100; i++) sent.add(1, { to: `caller ${i}`, by: "x" });
  sent.add(1, { to: "caller 0", by: "x" });
  const series = seriesOf(registry, "sent_total") ?? [];
  assertEquals(series.map(({ value }) => value), [2, 1, 1, 97]);
  assertEquals(series.at(-1)?.labels, { to: "other", by: "other" });
});

Deno.test("an instrument shortens label values, keeps them on one line and well-formed", () => {
  const registry = new MetricsRegistry();
  const sent = registry.counter("sent_total", { labels: ["to"] });
  const values = ["a\nb\u2028c\0", `${"x".repeat(63)}\u{1F600}`, "\ud800", true, 7, undefined, Symbol("s"), {}, null];
  for (const to of values) sent.add(1, { to: to as string });
  assertEquals(seriesOf(registry, "sent_total")?.map(({ labels, value }) => [labels["to"], value]), [
    ["a b c ", 1],
    [`${"x".repeat(63)}\ufffd`, 1],
    ["\ufffd", 1],
    ["true", 1],
    ["7", 1],
    [undefined, 4],
  ]);
});

Deno.test("MetricsRegistry returns a metric that exists, and rejects one of another kind", () => {
  const registry = new MetricsRegistry();
  assertEquals(registry.gauge("size"), registry.gauge("size"));
  assertThrows(() => registry.histogram("size"), MetricError, "size exists and is of another kind");
});

Deno.test("MetricsRegistry rejects names, labels and buckets that would break a line", () => {
  const registry = new MetricsRegistry();
  const bad = [
    () => registry.counter("sent"),
    () => registry.gauge("sent_total"),
    () => registry.histogram("sent_total"),
    ...["", "Size", "a b", "a\nb 1", "0a", "a_count", "a_bucket", "a_sum", "x".repeat(101), "{}", "\u00e9"].map(
      (name) => () => registry.gauge(name),
    ),
    () => registry.gauge(undefined as unknown as string),
    () => registry.gauge("size", { labels: "ab" as unknown as string[] }),
    () => registry.histogram(Symbol("s") as unknown as string, { buckets: [] }),
    ...["", "le", "quantile", "__name__", "a-b", 'a="b",c', "a\n"].map((label) => () =>
      registry.gauge("size", { labels: [label] })
    ),
    () => registry.gauge("size", { labels: ["a", "a"] }),
    () => registry.gauge("size", { labels: Array.from("abcdefghijk") }),
    ...[0, 501, 1.5, NaN].map((maxSeries) => () => registry.gauge("size", { maxSeries })),
    ...[[], [2, 1], [1, 1], [NaN], [1, Infinity], Array.from({ length: 51 }, (_, at) => at)].map((buckets) => () =>
      registry.histogram("times", { buckets })
    ),
  ];
  for (const create of bad) assertThrows(create, MetricError);
  assertEquals(registry.snapshot().metrics, []);
});

Deno.test("MetricsRegistry shows at most 200 metrics; others work and are not shown", () => {
  const registry = new MetricsRegistry();
  for (let i = 0; i < 300; i++) registry.counter(`sent_${i}_total`).add();
  assertEquals(registry.snapshot().metrics.length, 200);
});

Deno.test("MetricsRegistry.beforeSnapshot() updates metrics when they are read, and survives what throws", () => {
  const registry = new MetricsRegistry();
  const size = registry.gauge("size");
  let now = 0;
  registry.beforeSnapshot(() => {
    throw new Error("closed");
  });
  const updates = registry.beforeSnapshot(() => size.set(++now));
  assertEquals(seriesOf(registry, "size")?.[0]?.value, 1);
  updates[Symbol.dispose]();
  assertEquals(seriesOf(registry, "size")?.[0]?.value, 1);
});
