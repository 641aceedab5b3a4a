import { assertEquals } from "@std/assert";
import { Deadlines } from "../../shared/postgres/query/deadlines.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("deadlines: each is told once, in time, by one timer; a dropped one is not", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const told: string[] = [];
  const add = (name: string, inMs: number) => {
    const deadline = { at: clock.now() + inMs, expired: () => void told.push(name) };
    deadlines.add(deadline);
    return deadline;
  };
  add("late", 300);
  const dropped = add("dropped", 100);
  add("early", 50);
  add("middle", 200);
  assertEquals(clock.timers, 1);
  await clock.advance(49);
  assertEquals(told, []);
  await clock.advance(1);
  assertEquals(told, ["early"]);
  deadlines.drop(dropped);
  await clock.advance(149);
  assertEquals([told, clock.timers], [["early"], 1]);
  await clock.advance(1);
  assertEquals(told, ["early", "middle"]);
  await clock.advance(1_000);
  assertEquals([told, clock.timers], [["early", "middle", "late"], 0]);
});

Deno.test("deadlines: one that adds another, and a stop, leave no timer behind", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  let again = 0;
  const chain = (): void =>
    deadlines.add({
      at: clock.now() + 10,
      expired: () => {
        if (++again < 3) chain();
      },
    });
  chain();
  await clock.advance(100);
  assertEquals([again, clock.timers], [3, 0]);
  chain();
  assertEquals(clock.timers, 1);
  deadlines.stop();
  await clock.advance(100);
  assertEquals([again, clock.timers], [3, 0]);
});

Deno.test("deadlines: what fell due while the isolate was frozen is told at once", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const told: number[] = [];
  for (const ms of [10, 20, 30]) deadlines.add({ at: clock.now() + ms, expired: () => void told.push(ms) });
  clock.freeze(60_000);
  await clock.advance(0);
  assertEquals(told, [10, 20, 30]);
});
