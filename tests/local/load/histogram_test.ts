import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { TimeHistogram } from "../../../local/load/histogram.ts";

Deno.test("TimeHistogram.percentile() is at most 1 % above the exact one, and never below it", () => {
  const times = fc.array(fc.double({ min: 0.02, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(times, fc.constantFrom(0, 0.5, 0.9, 0.99, 1), (all, share) => {
    const histogram = new TimeHistogram();
    for (const ms of all) histogram.add(ms);
    const sorted = all.toSorted((a, b) => a - b);
    const exact = sorted[Math.max(0, Math.ceil(share * all.length) - 1)] ?? 0;
    const found = histogram.percentile(share);
    assert(found >= exact * 0.999999 && found <= exact * 1.0101, `${found} of ${exact}`);
    assertEquals([histogram.count, histogram.maxMs], [all.length, sorted.at(-1)]);
    assertEquals(histogram.rows().reduce((sum, { count }) => sum + count, 0), all.length);
  }));
});

Deno.test("TimeHistogram without times is empty", () => {
  const { count, maxMs, meanMs } = new TimeHistogram();
  assertEquals([count, maxMs, meanMs, new TimeHistogram().percentile(0.5), new TimeHistogram().rows()], [
    0,
    0,
    0,
    0,
    [],
  ]);
});

Deno.test("TimeHistogram.rows() has bounds of 1, 2 and 5, without empty rows at the ends", () => {
  const histogram = new TimeHistogram();
  for (const ms of [0, 0.9, 1, 7, 7, 8, 1e9]) histogram.add(ms);
  const rows = histogram.rows();
  assertEquals(rows[0], { toMs: 0.01, count: 1 });
  assertEquals(rows.find(({ toMs }) => toMs === 1)?.count, 2);
  assertEquals(rows.find(({ toMs }) => toMs === 10)?.count, 3);
  assertEquals(rows.find(({ toMs }) => toMs === 2)?.count, 0);
  assertEquals(rows.at(-1)?.count, 1);
});
