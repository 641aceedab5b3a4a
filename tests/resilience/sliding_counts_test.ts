import { assertEquals } from "@std/assert";
import { SlidingCounts } from "../../shared/resilience/sliding_counts.ts";

Deno.test("SlidingCounts.add() counts an event of an earlier instant with the latest ones", () => {
  const counts = new SlidingCounts(1_000);
  counts.add(1, 1, 5_000);
  counts.add(1, 0, 4_500);
  counts.add(1, 1, 5_000);
  assertEquals([counts.total, counts.marked], [3, 2]);
  counts.advance(5_999);
  assertEquals([counts.total, counts.marked], [3, 2]);
  counts.advance(6_000);
  assertEquals([counts.total, counts.marked], [0, 0]);
});
