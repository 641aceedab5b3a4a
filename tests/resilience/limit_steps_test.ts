/** The sizes of an adaptive limit's experiments, and what it remembers. */
import { assert, assertEquals } from "@std/assert";
import { LimitMemory } from "../../shared/resilience/limit_memory.ts";
import {
  callsFor,
  callsOf,
  firstStep,
  higherLimit,
  lowerLimit,
  nextStepDown,
  nextStepUp,
  restMs,
} from "../../shared/resilience/limit_steps.ts";

/** The factor of latency at which several limits stop to push each other up. */
const BRAKE = 6;

function assertNear(actual: number, expected: number): void {
  assert(Math.abs(actual - expected) < 1e-9, `${actual}, expected ${expected}`);
}

Deno.test("callsOf() is at least 20 calls and at most 400", () => {
  assertEquals([callsOf(2, 5), callsOf(2, 50), callsOf(2, 300)], [20, 100, 400]);
});

Deno.test("callsFor() grows with the variance and with smaller steps, from 10 to 400", () => {
  assertEquals(callsFor(10, 20, 1e-8), 10);
  assertEquals(callsFor(100, 105, 1), 400);
  assert(callsFor(100, 110, 0.01) > callsFor(100, 120, 0.01));
  assert(callsFor(100, 110, 0.02) > callsFor(100, 110, 0.01));
  assertEquals(callsFor(110, 100, 0.01), callsFor(100, 110, 0.01));
});

Deno.test("firstStep() is 5 to 15 %, larger for a low limit and where latency varies", () => {
  assertEquals(firstStep(200, 1e-8, 0), 0.05);
  assertEquals(firstStep(4, 1e-8, 0), 0.1);
  assertEquals(firstStep(4, 1e-8, 0.25), 0.125);
  assertEquals(firstStep(1, 1e-8, 0.5), 0.15);
  assertEquals(firstStep(200, 4, 0), 0.15);
  const judged = firstStep(20, 0.04, 0);
  assert(judged > 0.06 && judged < 0.09, `${judged}`);
});

Deno.test("restMs() is half of 140 rounds per round of an experiment, within bounds", () => {
  assertEquals(restMs(100, 0.05, 1e-8, 20, 100), 140 * (1 + 10 / 100) * 20 / 2);
  assertEquals(restMs(100, 0.05, 1e-8, 1, 100), 250);
  assertEquals(restMs(100, 0.05, 1e-8, 1_000, 100), 7_500);
  assertEquals(restMs(49, 0.05, 1e-8, 1_000, 100), 1_500);
  assertEquals(restMs(100, 0.05, 1e-8, 20, 101), 140 * (1 + 20 / 100) * 20 / 2);
});

Deno.test("nextStepUp() doubles the step, to 10 times below what has held, and begins with a first step above it", () => {
  assertEquals([nextStepUp(10, 15, 0), nextStepUp(10, 20, 0)], [1, 1]);
  assertEquals([nextStepUp(10, 20, 100), nextStepUp(10, 90, 100)], [2, 9]);
  assertEquals([nextStepUp(80, 100, 100), nextStepUp(100, 110, 100).toFixed(3)], [0, "0.200"]);
});

Deno.test("nextStepDown() doubles the step, down to half", () => {
  assertEquals([nextStepDown(12, 10).toFixed(3), nextStepDown(20, 10)], ["0.400", 1]);
});

Deno.test("higherLimit() stops at what has held, and lowerLimit() is lower by at least 1", () => {
  assertEquals([higherLimit(10, 1, 0), higherLimit(10, 0.01, 0), higherLimit(100, 0.05, 100)], [20, 11, 105]);
  assertEquals([higherLimit(10, 9, 60), higherLimit(59, 0.1, 60)], [60, 65]);
  assertEquals([lowerLimit(10, 1), lowerLimit(10, 0.01), lowerLimit(100, 9)], [5, 9, 10]);
});

Deno.test("LimitMemory keeps the lowest latency and the highest limit, until they expire", () => {
  const memory = new LimitMemory();
  assert(memory.mayHold(200));
  memory.age(40, { mean: 3, error: 0 }, 0);
  memory.age(10, { mean: 4, error: 0 }, 0);
  assertEquals([memory.peak, memory.mayHold(40), memory.mayHold(41)], [40, true, false]);
  assertEquals(memory.brake(2), 0);
  assertNear(memory.brake(3 + Math.log(BRAKE)), 1);
  memory.age(10, { mean: 4, error: 0 }, 300_000);
  assertNear(memory.peak, 20);
  assertNear(memory.brake(3.5 + Math.log(BRAKE)), 1);
});

Deno.test("LimitMemory.raise() moves the lowest latency up, never down", () => {
  const memory = new LimitMemory();
  memory.note({ mean: 2, error: 0.5 });
  memory.raise(1, 0.5);
  assertEquals(memory.brake(2.5), 0);
  memory.raise(3.5, 0.5);
  assertEquals(memory.brake(3), 0);
  assert(memory.brake(3.1) > 0);
});
