import { assertEquals, assertMatch } from "@std/assert";
import { linePath, niceTop, summaryOf, thinned } from "../../../local/dashboard/page/charts.js";
import { age, milliseconds, number, partsOf, timeOfDay } from "../../../local/dashboard/page/format.js";

Deno.test("number() and milliseconds() show what matters of a figure", () => {
  assertEquals([0, 7, 1.234, 12.34, 123.4, 9_999, 12_345, 2_500_000, null, NaN].map(number), [
    "0",
    "7",
    "1.23",
    "12.3",
    "123",
    "9999",
    "12.3 k",
    "2.5 M",
    "\u2013",
    "\u2013",
  ]);
  assertEquals([0.5, 12_000, undefined].map(milliseconds), ["0.5 ms", "12 s", "\u2013"]);
  assertEquals([800, 120_000, 7_200_000, -5].map(age), ["1 s", "2 min", "2 h", "0 s"]);
  assertMatch(timeOfDay(0), /^\d\d:\d\d:\d\d$/);
  assertEquals(timeOfDay(1e20), "\u2013");
});

Deno.test("partsOf() shows where the time went, also of calls that overlap", () => {
  const shares = (durationMs: number, upstreamMs: number) =>
    partsOf({ durationMs, verifyMs: 10, waitMs: 30, upstreamMs }).map(({ share }) => share);
  assertEquals(shares(100, 20), [0.1, 0.3, 0.2, 0.4]);
  assertEquals(shares(100, 160), [0.05, 0.15, 0.8, 0]);
  assertEquals(partsOf({ durationMs: 0, verifyMs: 0, waitMs: 0, upstreamMs: 0 }).map(({ share }) => share), [
    0,
    0,
    0,
    0,
  ]);
});

Deno.test("niceTop() returns a round number that is not below the value", () => {
  assertEquals([0, -1, NaN, 1, 1.1, 3, 7, 24, 101].map(niceTop), [1, 1, 1, 1, 2, 5, 10, 25, 200]);
});

Deno.test("linePath() interrupts the line where a value is not known", () => {
  const points = [[0, 1], [1, 2], [2, null], [3, 4]].map(([atMs, value]) => ({ atMs: atMs ?? 0, value }));
  assertEquals(
    linePath(points, ({ value }) => value, (at) => at, (value) => value),
    "M0.0 1.0L0.0 1.0L1.0 2.0M3.0 4.0L3.0 4.0",
  );
  assertEquals(linePath([], () => 1, (at) => at, (value) => value), "");
  // The page was hidden for a minute.
  const hidden = [{ atMs: 0 }, { atMs: 2_000 }, { atMs: 62_000 }];
  assertEquals(
    linePath(hidden, () => 1, (at) => at / 1000, (value) => value),
    "M0.0 1.0L0.0 1.0L2.0 1.0M62.0 1.0L62.0 1.0",
  );
});

Deno.test("thinned() keeps the newest point, and summaryOf() names the latest and the largest value", () => {
  assertEquals(thinned([1, 2, 3, 4, 5], 3), [1, 3, 5]);
  assertEquals(thinned([1, 2], 3), [1, 2]);
  const series = [{ label: "active", pick: (point: { value: number | null }) => point.value }];
  const points = [{ atMs: 0, value: 9 }, { atMs: 120_000, value: null }, { atMs: 180_000, value: 4 }];
  assertEquals(summaryOf("Slots", series, points), "Slots over 3 minutes: active 4, at most 9");
  assertEquals(summaryOf("Slots", series, []), "Slots: no data yet");
});
