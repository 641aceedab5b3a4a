/** AdaptiveLimit: what it does with each signal. The properties are in properties/adaptive_limit_test.ts. */
import { assert, assertEquals } from "@std/assert";
import { AdaptiveLimit, type LimitOutcome } from "../../shared/resilience/adaptive_limit.ts";

/** Runs `calls` calls one after another, each beside enough others that the limit is reached. */
function run(limit: AdaptiveLimit, calls: number, latencyMs: (limit: number) => number, from = 0): number {
  let now = from;
  for (let index = 0; index < calls; index++) {
    const call = limit.begin(now, limit.limit, true);
    now += latencyMs(limit.limit);
    limit.end(call, now, "ok");
  }
  return now;
}

const create = (options = {}) => new AdaptiveLimit({ random: () => 0.5, ...options });

/** One call that ends as `outcome` after 10 ms. */
function one(limit: AdaptiveLimit, at: number, outcome: LimitOutcome, inFlight = limit.limit): void {
  limit.end(limit.begin(at, inFlight, false), at + 10, outcome);
}

Deno.test("AdaptiveLimit begins with 10, and stays between min and max", () => {
  assertEquals(create().limit, 10);
  assertEquals(create({ initial: 500 }).limit, 200);
  assertEquals(create({ initial: 2, min: 5 }).limit, 5);
  const limit = create({ max: 40 });
  run(limit, 500, () => 10);
  assertEquals(limit.limit, 40);
  limit.max = 20;
  assertEquals([limit.limit, limit.max], [20, 20]);
});

Deno.test("AdaptiveLimit grows while latency stays, and moves to where it begins to grow", () => {
  const free = create();
  run(free, 500, () => 10);
  assertEquals(free.limit, 200);
  const bounded = create();
  run(bounded, 5_000, (limit) => 10 * Math.max(1, limit / 50));
  assert(Math.abs(bounded.limit - 50) <= 3, `${bounded.limit}`);
});

Deno.test("AdaptiveLimit does not change while it is not reached", () => {
  const limit = create();
  for (let at = 0; at < 100_000; at += 20) {
    const call = limit.begin(at, 9, false);
    limit.end(call, at + (at % 3_000 === 0 ? 5_000 : 10), "ok");
  }
  assertEquals(limit.limit, 10);
});

Deno.test("AdaptiveLimit decreases after an overload, once per round", () => {
  const limit = create();
  one(limit, 100, "overload");
  assertEquals(limit.limit, 7);
  // These began before the decrease.
  const late = [limit.begin(100, 10, true), limit.begin(105, 10, true)];
  for (const call of late) limit.end(call, 120, "overload");
  assertEquals(limit.limit, 7);
  one(limit, 130, "overload");
  assertEquals(limit.limit, 4);
  for (let at = 200; at < 2_000; at += 100) one(limit, at, "overload");
  assertEquals(limit.limit, 1);
});

Deno.test("AdaptiveLimit decreases once in the time of a call, however fast refusals are", () => {
  const limit = create();
  const now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50)) + 1;
  const before = limit.limit;
  for (let at = now; at < now + 9; at++) limit.end(limit.begin(at, limit.limit, true), at + 0.5, "overload");
  assert(limit.limit >= Math.floor(before * 0.7), `${before} -> ${limit.limit}`);
});

Deno.test("AdaptiveLimit does not decrease after an overload far below the limit", () => {
  const limit = create({ initial: 100 });
  one(limit, 0, "overload", 10);
  one(limit, 100, "overload", 49);
  assertEquals(limit.limit, 100);
  one(limit, 200, "overload", 50);
  assertEquals(limit.limit, 35);
});

Deno.test("AdaptiveLimit returns to the limit before, or just below what was refused, when a higher one is refused", () => {
  const limit = create();
  // The 20 calls of the first level, then the first experiment.
  const now = run(limit, 20, () => 10);
  assertEquals(limit.limit, 20);
  one(limit, now + 1, "overload", 15);
  assertEquals(limit.limit, 13);
  const other = create();
  const then = run(other, 20, () => 10);
  one(other, then + 1, "overload", 11);
  assertEquals(other.limit, 10);
});

Deno.test("AdaptiveLimit recovers after an outage", () => {
  const limit = create();
  let now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50));
  for (let index = 0; index < 30; index++, now += 100) one(limit, now, "overload");
  assertEquals(limit.limit, 1);
  now = run(limit, 1_000, (value) => 10 * Math.max(1, value / 50), now);
  assert(limit.limit >= 45, `${limit.limit}`);
});

Deno.test("AdaptiveLimit ignores aborted calls that were fast", () => {
  const limit = create();
  let now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50));
  const before = limit.limit;
  for (let index = 0; index < 1_000; index++) {
    limit.end(limit.begin(now, before, true), now + 0.1, "ignored");
    now += 0.1;
  }
  assertEquals(limit.limit, before);
});

Deno.test("AdaptiveLimit does not wait for a call that never ends", () => {
  const limit = create();
  limit.begin(0, 10, true);
  run(limit, 500, () => 10);
  assertEquals(limit.limit, 200);
});

Deno.test("AdaptiveLimit follows a rise of latency that it does not cause", () => {
  const limit = create();
  const now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50));
  const before = limit.limit;
  run(limit, 10_000, (value) => 60 * Math.max(1, value / 50), now);
  assert(limit.limit >= before * 0.8, `${before} -> ${limit.limit}`);
});

Deno.test("AdaptiveLimit moves to where a step crossed the capacity, not to its end", () => {
  const limit = create();
  run(limit, 90, (value) => 10 * Math.max(1, value / 14));
  assert(limit.limit >= 12 && limit.limit <= 17, `${limit.limit}`);
});

Deno.test("AdaptiveLimit follows a rise of latency at once by as much as latency rose", () => {
  const limit = create();
  const now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50));
  assert(limit.limit >= 45, `${limit.limit}`);
  // Ten calls that show it, ten that confirm it, and the experiments.
  run(limit, 60, (value) => 10 * Math.max(1, value / 5), now);
  assert(limit.limit <= 12, `${limit.limit}`);
});

Deno.test("AdaptiveLimit returns at once to the limit before, when latency rose for a while only", () => {
  const limit = create();
  let now = run(limit, 3_000, (value) => 10 * Math.max(1, value / 50));
  const before = limit.limit;
  while (limit.limit > before / 2) now = run(limit, 1, () => 30, now);
  // A cohort at the lower limit, twice the limit, and the limit before, each after the calls that fill it.
  run(limit, 45, (value) => 10 * Math.max(1, value / 50), now);
  assert(limit.limit >= before * 0.9, `${before}, ${limit.limit}`);
});

Deno.test("AdaptiveLimit does not count the calls that begin until a higher limit is reached", () => {
  const limit = create();
  const now = run(limit, 20, () => 10);
  assertEquals(limit.limit, 20);
  // These begin while calls under way are fewer than 20.
  const then = run(limit, 10, () => 10, now);
  run(limit, 10, () => 20, then);
  assertEquals(limit.limit, 20);
});

Deno.test("AdaptiveLimit tries a higher limit twice before a pause keeps it low", () => {
  const limit = create();
  let now = run(limit, 30, () => 10);
  assertEquals(limit.limit, 20);
  now = run(limit, 10, () => 50, now);
  assertEquals(limit.limit, 20);
  run(limit, 20, () => 10, now);
  assertEquals(limit.limit, 40);
});

Deno.test("AdaptiveLimit keeps its limit through a pause that slows all calls under way", () => {
  const limit = create({ initial: 50, max: 50 });
  let now = run(limit, 500, () => 10);
  for (let pause = 0; pause < 20; pause++) {
    // Calls under way, and some that began behind them.
    now = run(limit, 35, () => 60, now);
    now = run(limit, 150, (value) => {
      assert(value >= 40, `${value}`);
      return 10;
    }, now);
  }
});

Deno.test("AdaptiveLimit.max keeps an experiment from ending above it, or with no limit at all", () => {
  for (let calls = 1; calls < 700; calls += 3) {
    const limit = create();
    const latency = (value: number) => 10 * Math.max(1, value / 50);
    const now = run(limit, calls, latency);
    for (const max of [limit.limit, Math.max(1, limit.limit - 1), Math.max(1, Math.floor(limit.limit / 2))]) {
      limit.max = max;
      run(limit, 100, (value) => {
        assert(value >= 1 && value <= max, `${value} of ${max} after ${calls} calls`);
        return latency(value) * (calls % 2 === 0 ? 3 : 1);
      }, now);
    }
  }
});
