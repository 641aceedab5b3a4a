import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { retry, RetryBudget } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

function take(budget: RetryBudget, requests: number): void {
  for (let i = 0; i < requests; i++) budget.countRequest();
}

function retriesOf(budget: RetryBudget): number {
  let retries = 0;
  while (budget.tryRetry()) retries++;
  return retries;
}

Deno.test("RetryBudget.tryRetry() allows the reserve, and a share of the requests", () => {
  const budget = new RetryBudget({ ratio: 0.1, reserve: 3, clock: new FakeClock() });
  assertEquals(retriesOf(budget), 3);
  take(budget, 9);
  assertEquals(retriesOf(budget), 0);
  take(budget, 1);
  assertEquals(retriesOf(budget), 1);
  take(budget, 100);
  assertEquals(retriesOf(budget), 10);
  assertEquals(budget.getStats(), { requests: 110, retries: 14, refused: 4 });
});

Deno.test("RetryBudget.tryRetry() forgets after ten seconds, also after a freeze", () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ ratio: 1, reserve: 0, clock });
  take(budget, 5);
  clock.freeze(8_000);
  assertEquals(retriesOf(budget), 5);
  clock.freeze(2_001); // the requests leave the window, the retries do not
  assertEquals(budget.getStats(), { requests: 0, retries: 5, refused: 1 });
  take(budget, 6);
  assertEquals(retriesOf(budget), 1);
  clock.freeze(600_000);
  assertEquals([retriesOf(budget), budget.getStats().retries], [0, 0]);
});

Deno.test("RetryBudget allows no retry with a ratio and a reserve of 0", () => {
  const budget = new RetryBudget({ ratio: 0, reserve: 0 });
  take(budget, 1_000);
  assertEquals(budget.tryRetry(), false);
});

Deno.test("RetryBudget rejects options out of range by name", () => {
  for (const ratio of [-0.1, 1.1, NaN]) assertThrows(() => new RetryBudget({ ratio }), RangeError, "ratio must be");
  for (const reserve of [-1, 0.5, Infinity]) {
    assertThrows(() => new RetryBudget({ reserve }), RangeError, "reserve must be");
  }
});

Deno.test("RetryBudget: the retries of any ten seconds are at most a share of their requests, and the reserve", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("request" as const), count: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ kind: fc.constant("retry" as const), count: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ kind: fc.constant("wait" as const), count: fc.constantFrom(1, 300, 999, 2_500, 9_000, 120_000) }),
    ),
    { maxLength: 100, size: "max" },
  );
  fc.assert(
    fc.property(fc.constantFrom(0, 0.1, 0.5, 1), fc.nat(5), steps, (ratio, reserve, script) => {
      const clock = new FakeClock();
      const budget = new RetryBudget({ ratio, reserve, clock });
      const requests: number[] = [];
      const retries: number[] = [];
      for (const { kind, count } of script) {
        if (kind === "wait") clock.freeze(count);
        for (let i = 0; kind === "request" && i < count; i++) {
          budget.countRequest();
          requests.push(clock.now());
        }
        for (let i = 0; kind === "retry" && i < count; i++) {
          const since = (times: readonly number[], ms: number) => times.filter((at) => at > clock.now() - ms).length;
          // A window ends within a tenth of it: both are counted for nine seconds at least, and ten at most.
          const most = reserve + ratio * since(requests, 10_000);
          const least = reserve + ratio * since(requests, 9_000);
          const before = { most: since(retries, 10_000), least: since(retries, 9_000) };
          const granted = budget.tryRetry();
          if (granted) retries.push(clock.now());
          if (granted) assert(before.least + 1 <= most, "a retry too many");
          else assert(before.most + 1 > least, "a retry too few");
        }
      }
    }),
    { numRuns: 500, seed: 20_261_128 },
  );
});

Deno.test("retry() with a budget: failing operations send at most the share of retries, and succeeding ones any", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ ratio: 0.2, reserve: 0, clock });
  let attempts = 0;
  const failing = () => {
    attempts++;
    return Promise.reject(Object.assign(new Error("down"), { retry: "transient" }));
  };
  const all = Array.from({ length: 100 }, () => retry(failing, { budget, clock, delayMs: 1 }).catch(() => {}));
  await clock.advance(1_000);
  await Promise.all(all);
  assertEquals(attempts, 120);
});
