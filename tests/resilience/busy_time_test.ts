/** The time in which something was under way. */
import { assertEquals } from "@std/assert";
import { BusyTime } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("BusyTime counts time in which several activities were under way once, and pauses not at all", async () => {
  const clock = new FakeClock();
  const busy = new BusyTime();
  assertEquals(busy.totalMs, 0);
  busy.begin(clock);
  await clock.advance(10);
  assertEquals(busy.totalMs, 10);
  busy.begin(clock, clock.now());
  await clock.advance(5);
  busy.end();
  assertEquals(busy.totalMs, 15);
  await clock.advance(5);
  busy.end();
  await clock.advance(100);
  assertEquals(busy.totalMs, 20);
  busy.begin(clock);
  await clock.advance(2);
  busy.end();
  assertEquals(busy.totalMs, 22);
});
