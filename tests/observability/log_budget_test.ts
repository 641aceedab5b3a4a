import { assertEquals } from "@std/assert";
import { LogBudget, LogThrottle } from "../../shared/observability/log/log_budget.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("LogThrottle.take() returns the number of occurrences that a line stands for", async () => {
  const clock = new FakeClock();
  const throttle = new LogThrottle(clock);
  assertEquals([1, 2, 3, 4].map(() => throttle.take("a", 2)), [1, 1, 0, 0]);
  assertEquals(throttle.take("b", 2), 1);
  await clock.advance(1_000);
  assertEquals([throttle.take("a", 2), throttle.take("a", 2), throttle.take("a", 2)], [3, 1, 0]);
});

Deno.test("LogThrottle tracks at most 100 keys, and forgets all when there are more", () => {
  const throttle = new LogThrottle(new FakeClock());
  throttle.take("a", 1);
  for (let index = 0; index < 99; index++) throttle.take(`${index}`, 1);
  assertEquals(throttle.take("a", 1), 0);
  throttle.take("one more", 1);
  assertEquals(throttle.take("a", 1), 1);
});

Deno.test("LogBudget.take() allows 50 lines at once and 100 in any 10 s, and counts the others", async () => {
  const clock = new FakeClock();
  const budget = new LogBudget(clock);
  const taken = (times: number) =>
    Array.from({ length: times }, () => budget.take()).filter((count) => count !== undefined);
  assertEquals(taken(60).length, 50);
  await clock.advance(200);
  // One line came back: not enough for it and the line that counts the others.
  assertEquals(taken(1), []);
  await clock.advance(200);
  assertEquals(taken(2), [11]);
  await clock.advance(1_000_000);
  assertEquals(taken(60).length, 49);
});

Deno.test("LogBudget.suppress() counts a line while none is left, and takes none", async () => {
  const clock = new FakeClock();
  const budget = new LogBudget(clock);
  assertEquals(budget.suppress(), false);
  assertEquals(Array.from({ length: 50 }, () => budget.take()).every((count) => count === 0), true);
  assertEquals([budget.suppress(), budget.suppress(), budget.take()], [true, true, undefined]);
  await clock.advance(400);
  assertEquals([budget.suppress(), budget.suppress(), budget.take()], [false, false, 3]);
});

Deno.test("LogBudget.take() gets one line back each 200 ms, and never more than 50", async () => {
  const clock = new FakeClock();
  const budget = new LogBudget(clock);
  const drain = () => Array.from({ length: 50 }, () => budget.take()).filter((count) => count === 0).length;
  assertEquals(drain(), 50);
  await clock.advance(200);
  assertEquals(budget.take(), 0);
  await clock.advance(1_000_000);
  assertEquals(drain(), 50);
  await clock.advance(199);
  assertEquals(budget.take(), undefined);
});

Deno.test("LogThrottle.take() counts again after 1,000 ms, and not after 999", async () => {
  const clock = new FakeClock();
  const throttle = new LogThrottle(clock);
  assertEquals([throttle.take("a", 1), throttle.take("a", 1)], [1, 0]);
  await clock.advance(999);
  assertEquals(throttle.take("a", 1), 0);
  await clock.advance(1);
  assertEquals(throttle.take("a", 1), 3);
});

Deno.test("LogBudget.take() needs room for two lines to write one after a single suppressed line", async () => {
  const clock = new FakeClock();
  const budget = new LogBudget(clock);
  for (let line = 0; line < 50; line++) assertEquals(budget.take(), 0);
  assertEquals(budget.take(), undefined);
  await clock.advance(300);
  assertEquals(budget.take(), undefined);
  await clock.advance(100);
  assertEquals(budget.take(), 2);
});

Deno.test("LogThrottle.suppress() adds to the next line of a key, and knows no other key", async () => {
  const clock = new FakeClock();
  const throttle = new LogThrottle(clock);
  throttle.suppress("a", 5);
  const count = throttle.take("a", 1);
  throttle.suppress("a", count);
  assertEquals([count, throttle.take("a", 1)], [1, 0]);
  await clock.advance(1_000);
  assertEquals(throttle.take("a", 1), 3);
});
