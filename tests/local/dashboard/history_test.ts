import { assert, assertEquals } from "@std/assert";
import { ALL, History } from "../../../local/dashboard/history.ts";
import { snapshotOf } from "../../../local/dashboard/snapshot.ts";
import { fleetPage, stats } from "./support.ts";

/** A snapshot of functions: name, slots acquired, errors. */
function snapshot(functions: readonly [string, number, number][], samples: unknown[] = []) {
  const [group] = fleetPage().functions as Record<string, unknown>[];
  return snapshotOf(fleetPage({
    samples,
    functions: functions.map(([name, totalAcquired, errors]) => ({
      ...group,
      function: name,
      stats: stats({ totalAcquired }),
      errors: { E: errors },
    })),
  }));
}

Deno.test("History.of() has rates per second, of each function and of all", () => {
  const history = new History();
  history.add(10_000, snapshot([["a", 10, 0], ["b", 5, 1]]));
  history.add(12_000, snapshot([["a", 30, 0], ["b", 5, 3]]));
  const [first, second] = history.of(ALL);
  assertEquals([first?.acquiredPerS, first?.active], [null, 4]);
  assertEquals([second?.acquiredPerS, second?.errorsPerS, second?.limit], [10, 1, 20]);
  assertEquals(history.of("a").at(-1)?.acquiredPerS, 10);
  assertEquals([history.of("a").at(-1)?.waitP99, history.of("none")], [9, []]);
});

Deno.test("History.of() takes rates over 12 s, so that reports every 5 s are no spikes", () => {
  const history = new History();
  for (let atMs = 0; atMs <= 40_000; atMs += 2_000) {
    history.add(atMs, snapshot([["a", 100 + Math.floor(atMs / 5_000) * 500, 0]]));
  }
  const rates = history.of("a").filter(({ atMs }) => atMs >= 20_000).map(({ acquiredPerS }) => acquiredPerS ?? 0);
  assert(rates.every((perS) => perS > 70 && perS < 130), `${rates}`);
});

Deno.test("History.of() has no rate after an isolate has ended, and no times where there were none", () => {
  const history = new History();
  history.add(0, snapshot([["a", 10, 5]]));
  const ended = snapshot([["a", 3, 0]]);
  const none = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
  history.add(2_000, { ...ended, functions: ended.functions.map((row) => ({ ...row, wait: none })) });
  const point = history.of("a").at(-1);
  assertEquals([point?.acquiredPerS, point?.errorsPerS, point?.waitP50, point?.useP50], [null, null, null, 1]);
});

Deno.test("History begins with the samples of the store, on the clock of this machine", () => {
  const history = new History();
  const sample = { waiting: 1, active: 2, limit: 10, acquisitionMs: 3, calls: 4, errors: 1 };
  history.add(
    1_000_000,
    snapshot([["a", 1, 0]], [
      { ...sample, function: "b", atMs: 5_000_000_015_000 },
      { ...sample, function: "a", atMs: 5_000_000_000_000 },
      { ...sample, function: "a", atMs: 5_000_000_015_000 },
    ]),
  );
  assertEquals(history.of("a").map(({ atMs }) => atMs), [984_999, 999_999, 1_000_000]);
  assertEquals(history.of(ALL).map(({ active, idle }) => [active, idle]), [[2, null], [4, null], [2, 1]]);
});

Deno.test("History forgets what is older than 15 minutes, and functions without points", () => {
  const history = new History();
  history.add(0, snapshot([["old", 1, 0]]));
  history.add(900_000, snapshot([["new", 1, 0]]));
  assertEquals([history.of("old"), history.of(ALL).length, history.of("new").length], [[], 1, 1]);
});

Deno.test("History goes on when the clock of this machine is set back, and shows no point of a later time", () => {
  const history = new History();
  for (let n = 0; n < 5; n++) history.add(10_000_000 + n * 2_000, snapshot([["a", n * 20, 0]]));
  for (let n = 5; n < 9; n++) history.add(1_000_000 + n * 2_000, snapshot([["a", n * 20, 0]]));
  const points = history.of("a");
  assertEquals(points.map(({ atMs }) => atMs), [1_010_000, 1_012_000, 1_014_000, 1_016_000]);
  assertEquals(points.map(({ acquiredPerS }) => acquiredPerS), [null, 10, 10, 10]);
});

Deno.test("History has 100 functions at most, also if their names change with each snapshot", () => {
  const history = new History();
  for (let n = 0; n < 4; n++) {
    history.add(n * 2_000, snapshot(Array.from({ length: 40 }, (_, i) => [`f${n}-${i}`, 1, 0])));
  }
  const known = Array.from({ length: 160 }, (_, n) => history.of(`f${Math.floor(n / 40)}-${n % 40}`).length);
  assertEquals(known.reduce((sum, length) => sum + length, 0), 100);
  assertEquals([history.of("f0-0").length, history.of("f3-39").length, history.of(ALL).length], [1, 0, 4]);
  history.add(1_000_000, snapshot([["later", 1, 0]]));
  history.add(1_002_000, snapshot([["later", 2, 0]]));
  assertEquals(history.of("later").length, 1);
});
