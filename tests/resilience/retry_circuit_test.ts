/** Tests `retry()` with circuits and budgets. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CircuitOpenError, type Clock, retry, RetryBudget } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { script, throwing, TRANSIENT } from "./retry_script.ts";

Deno.test("retry() waits for a circuit to close, without counting an attempt or taking of its budget", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ reserve: 0, ratio: 0, clock });
  const attempts: number[] = [];
  const operation = ({ attempt }: { attempt: number }) => {
    attempts.push(attempt);
    if (attempts.length <= 20) throw new CircuitOpenError("billing", 700);
    return "sent";
  };
  const promise = retry(operation, { retries: 1, delayMs: 5_000, budget, clock });
  await clock.advance(20 * 700 - 1);
  assertEquals(attempts.length, 20);
  await clock.advance(1);
  assertEquals([await promise, new Set(attempts)], ["sent", new Set([0])]);
  assertEquals(budget.getStats().refused, 0);
});

Deno.test("retry() does not wait for a circuit beyond its deadline or its caller's time, nor with retries 0", async () => {
  for (const limit of [{ retries: 0 }, { deadlineMs: 700 }, { timeLeftMs: () => 700 }]) {
    const open = new CircuitOpenError("billing", 700);
    let calls = 0;
    const fail = () => {
      calls++;
      throw open;
    };
    assertStrictEquals(await assertRejects(() => retry(fail, { clock: new FakeClock(), ...limit })), open);
    assertEquals(calls, 1);
  }
});

Deno.test("retry() counts attempts at a circuit that was opened by hand, without taking of its budget", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ ratio: 0, reserve: 1, clock });
  let calls = 0;
  const promise = retry(() => {
    calls++;
    throw new CircuitOpenError("billing", undefined);
  }, { retries: 2, budget, clock });
  const failed = assertRejects(() => promise, CircuitOpenError);
  // Shorter than the time in which a budget forgets.
  await clock.advance(1_000);
  await failed;
  assertEquals(calls, 3);
  assertEquals(budget.getStats(), { requests: 1, retries: 0, refused: 0 });
});

Deno.test("retry() rejects an operation that would wait for a circuit when 1,000 wait, whatever ends these", async () => {
  const clock = new FakeClock();
  const open = new CircuitOpenError("billing", 700);
  const controller = new AbortController();
  let isOpen = true;
  const operation = () => {
    if (isOpen) throw open;
    return "sent";
  };
  const begin = (signal?: AbortSignal) => retry(operation, { clock, signal }).catch((error) => error);
  const aborted = Array.from({ length: 600 }, () => begin(controller.signal));
  const waiting = Array.from({ length: 400 }, () => begin());
  await settle();
  assertStrictEquals(await begin(), open);
  controller.abort("left");
  assertEquals(new Set(await Promise.all(aborted)), new Set(["left"]));
  const others = Array.from({ length: 600 }, () => begin());
  await settle();
  assertStrictEquals(await begin(), open);
  isOpen = false;
  await clock.advance(700);
  assertEquals(new Set(await Promise.all([...waiting, ...others])), new Set(["sent"]));
  // None waits any more.
  isOpen = true;
  const again = Array.from({ length: 1_000 }, () => begin());
  await settle();
  isOpen = false;
  await clock.advance(700);
  assertEquals(new Set(await Promise.all(again)), new Set(["sent"]));
});

Deno.test("retry() begins no attempt, and counts its wait once, when an abort comes in the turn of the timer", async () => {
  const clock = new FakeClock();
  const open = new CircuitOpenError("billing", 700);
  const wakes: (() => void)[] = [];
  const captured: Clock = {
    now: () => clock.now(),
    setTimer: (callback, delayMs) => {
      if (delayMs === 700) wakes.push(callback);
      return clock.setTimer(callback, delayMs);
    },
  };
  const controller = new AbortController();
  const { run, attempts } = script(throwing(open));
  const aborted = Array.from(
    { length: 50 },
    () => retry(run, { clock: captured, signal: controller.signal }).catch((error) => error),
  );
  await settle();
  controller.abort("left");
  for (const wake of wakes) wake();
  assertEquals(new Set(await Promise.all(aborted)), new Set(["left"]));
  await settle();
  assertEquals(attempts.length, 50);
  const waiting = Array.from(
    { length: 1_001 },
    () => retry(throwing(open), { clock, retries: 1 }).catch(() => "rejected"),
  );
  const first = await Promise.race([...waiting, settle().then(() => "they wait")]);
  assertEquals(first, "rejected");
  await clock.advance(60_000);
  await Promise.all(waiting);
});

Deno.test("retry() takes from the budget after failures that isBudgeted names", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ ratio: 0, reserve: 0, clock });
  const isBudgeted = (failure: unknown) => failure !== TRANSIENT;
  const { run, attempts } = script(throwing(TRANSIENT), throwing(TRANSIENT), () => "done");
  const promise = retry(run, { clock, budget, isBudgeted });
  await clock.advance(1_000);
  assertEquals([await promise, attempts.length, budget.getStats().refused], ["done", 3, 0]);
  const other = { ...TRANSIENT };
  assertStrictEquals(await assertRejects(() => retry(throwing(other), { clock, budget, isBudgeted })), other);
  assertEquals(budget.getStats().refused, 1);
});
