import { assertEquals } from "@std/assert";
import { median, medianInterval, quantile, shuffled, summarize } from "../../bench/support/statistics.ts";

Deno.test("quantile() and median() interpolate between values", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
  assertEquals(quantile([10, 20, 30, 40, 50], 0.25), 20);
  assertEquals(quantile([0, 10], 0.75), 7.5);
  assertEquals(quantile([7], 0.25), 7);
  assertEquals(median([]), NaN);
});

Deno.test("summarize() is robust against an outlier and does not sort its argument", () => {
  const values = [5, 1, 4, 2, 1_000];
  assertEquals(summarize(values), { median: 4, low: 2, high: 5, count: 5 });
  assertEquals(values, [5, 1, 4, 2, 1_000]);
});

Deno.test("shuffled() keeps every value and can return every order", () => {
  const orders = new Set<string>();
  for (let first = 0; first < 3; first++) {
    for (let second = 0; second < 2; second++) {
      const draws = [first / 3, second / 2, 0];
      orders.add(shuffled(["a", "b", "c"], () => draws.shift() ?? 0).join(""));
    }
  }
  assertEquals([...orders].sort(), ["abc", "acb", "bac", "bca", "cab", "cba"]);
});

Deno.test("medianInterval() leaves out as many values at each end as the sign test allows", () => {
  const values = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  assertEquals(medianInterval(values(15)), [4, 12]);
  assertEquals(medianInterval(values(30).toReversed()), [10, 21]);
  assertEquals(medianInterval(values(6)), [1, 6]);
  assertEquals(medianInterval(values(3)), [1, 3]);
});
