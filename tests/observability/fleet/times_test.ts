import { assertEquals } from "@std/assert";
import { percentilesOf, sumTimes, TIME_BOUNDS_MS } from "../../../shared/observability/fleet/mod.ts";
import { TimeWindow } from "../../../shared/observability/fleet/times.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("TimeWindow counts each time below the first bound that is not shorter", () => {
  const window = new TimeWindow(new FakeClock());
  for (const ms of [0, 1, 1.5, 2, 30_000, 30_001, Infinity]) window.add(ms);
  const { counts } = window.read();
  assertEquals(counts.length, TIME_BOUNDS_MS.length + 1);
  assertEquals([counts[0], counts[1], counts[13], counts[14]], [2, 2, 1, 2]);
});

Deno.test("TimeWindow forgets a time after 2.5 to 5 minutes, and all of them after a pause", () => {
  const clock = new FakeClock();
  const window = new TimeWindow(clock);
  const count = () => percentilesOf(window.read()).count;
  window.add(5);
  clock.freeze(149_999);
  assertEquals(count(), 1);
  clock.freeze(1);
  assertEquals(count(), 1);
  window.add(7);
  clock.freeze(150_000);
  assertEquals([count(), window.read().maxMs], [1, 7]);
  clock.freeze(300_000);
  assertEquals([count(), window.read().maxMs], [0, 0]);
});

Deno.test("percentilesOf() interpolates between bounds, and never exceeds the longest time", () => {
  const window = new TimeWindow(new FakeClock());
  assertEquals(percentilesOf(window.read()), { count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 });
  for (let ms = 1; ms <= 100; ms++) window.add(ms);
  const { count, p50Ms, p90Ms, p99Ms, maxMs } = percentilesOf(window.read());
  assertEquals([count, p50Ms, p90Ms, p99Ms, maxMs], [100, 50, 90, 99, 100]);
  const short = new TimeWindow(new FakeClock());
  short.add(3);
  assertEquals(percentilesOf(short.read()).p99Ms, 2.99);
  const one = new TimeWindow(new FakeClock());
  one.add(60_000);
  assertEquals(percentilesOf(one.read()).p50Ms, 45_000);
  assertEquals(percentilesOf(sumTimes([window.read(), one.read()])).maxMs, 60_000);
});
