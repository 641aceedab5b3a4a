/** Cohort: which calls belong to it, and the values that it takes of them. */
import { assert, assertEquals } from "@std/assert";
import { Cohort, combined } from "../../shared/resilience/cohort.ts";

function assertNear(actual: number, expected: number): void {
  assert(Math.abs(actual - expected) < 1e-9, `${actual}, expected ${expected}`);
}

Deno.test("Cohort takes as many calls as its size, after those it skips", () => {
  const cohort = new Cohort(2, 3);
  assertEquals([1, 2, 3, 4, 5, 6].map((at) => cohort.begin(at)), [false, false, false, true, true, false]);
  assertEquals([cohort.isFull, cohort.isComplete, cohort.lastStartAt], [true, false, 5]);
  cohort.end(1);
  cohort.end(3);
  assertEquals([cohort.isComplete, cohort.ended, cohort.mean, cohort.variance], [true, 2, 2, 2]);
  assertEquals(cohort.level, { mean: 2, error: 1 });
});

Deno.test("Cohort.drop() lets another call begin", () => {
  const cohort = new Cohort(1);
  cohort.begin(1);
  cohort.drop();
  assertEquals([cohort.isFull, cohort.begin(2), cohort.isFull], [false, true, true]);
});

Deno.test("Cohort.fastShare is the share of ended calls that were as fast as usual", () => {
  const cohort = new Cohort(4, 0, 2);
  for (const value of [1, 2, 3]) cohort.end(value);
  assertNear(cohort.fastShare, 2 / 3);
  const unknown = new Cohort(4);
  unknown.end(1);
  assertEquals(unknown.fastShare, 0);
});

Deno.test("Cohort.complete() counts those that have not ended as a value", () => {
  const cohort = new Cohort(4);
  cohort.end(1);
  cohort.complete(5);
  assertEquals([cohort.ended, cohort.mean], [4, 4]);
});

Deno.test("Cohort.variance is never 0", () => {
  const cohort = new Cohort(3);
  cohort.end(1);
  assertEquals(cohort.variance, 1e-8);
  cohort.end(1);
  assertEquals(cohort.variance, 1e-8);
});

Deno.test("combined() weights levels by their errors, and takes the second where they differ", () => {
  const { mean, error } = combined({ mean: 1, error: 0.2 }, { mean: 1.1, error: 0.1 });
  assertNear(mean, 1.08);
  assertNear(error, 0.1 * Math.sqrt(0.8));
  const second = { mean: 2, error: 0.1 };
  assertEquals(combined({ mean: 1, error: 0.2 }, second), second);
});
