import { assertEquals, assertStrictEquals } from "@std/assert";
import { anySignal, timeoutSignal } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("anySignal() is undefined without signals, and the signal itself for one", () => {
  const { signal } = new AbortController();
  assertEquals([anySignal(), anySignal(undefined, undefined)], [undefined, undefined]);
  assertStrictEquals(anySignal(undefined, signal), signal);
});

Deno.test("anySignal() aborts with the reason of the first signal that aborts", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const signal = anySignal(first.signal, undefined, second.signal);
  assertEquals(signal?.aborted, false);
  second.abort("second");
  first.abort("first");
  assertEquals([signal?.aborted, signal?.reason], [true, "second"]);
});

Deno.test("timeoutSignal() aborts with its reason when the time on the clock is up", async () => {
  const clock = new FakeClock();
  let created = 0;
  const { signal } = timeoutSignal(100, clock, () => `reason ${++created}`);
  await clock.advance(99);
  assertEquals([signal.aborted, created], [false, 0]);
  await clock.advance(1);
  assertEquals([signal.aborted, signal.reason, clock.timers], [true, "reason 1", 0]);
});

Deno.test("timeoutSignal() leaves no timer once it is disposed of, and never aborts", async () => {
  const clock = new FakeClock();
  const timeout = timeoutSignal(100, clock, () => "late");
  timeout[Symbol.dispose]();
  assertEquals(clock.timers, 0);
  await clock.advance(1_000);
  assertEquals(timeout.signal.aborted, false);
});
