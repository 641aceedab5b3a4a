/** The states of a circuit breaker: its rules, its probes, and time. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CircuitOpenError, type CircuitPermit, classifyFailure, retryAfterMs } from "../../shared/resilience/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { isRejected, setUp, setUpProbing } from "./circuit_breaker_support.ts";

Deno.test("CircuitBreaker opens after consecutiveFailures failures in a row, not counting earlier ones", async () => {
  const { breaker, events, fail, succeed } = setUp({ consecutiveFailures: 3 });
  fail(2);
  succeed();
  fail(2);
  assertEquals(breaker.snapshot(), { state: "closed" });
  fail();
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 500 });
  await settle();
  assertEquals(events, ["opened: consecutive failures"]);
});

Deno.test("CircuitBreaker does not count a failure in a row with failures longer ago than windowMs", () => {
  const { breaker, clock, fail } = setUp({ consecutiveFailures: 3, windowMs: 1_000 });
  fail(2);
  clock.freeze(1_001);
  fail(2);
  assertEquals(breaker.snapshot().state, "closed");
  fail();
  assertEquals(breaker.snapshot().state, "open");
});

Deno.test("CircuitBreaker opens at failureRatio of at least minimumCalls calls of the window", async () => {
  const { breaker, events, clock, fail, succeed } = setUp({ failureRatio: 0.4, minimumCalls: 10, windowMs: 1_000 });
  fail(4);
  succeed(5); // nine calls, 44 %
  assertEquals(breaker.snapshot().state, "closed");
  clock.freeze(1_000); // none
  succeed(6);
  fail(3);
  clock.freeze(500);
  assertEquals(breaker.snapshot().state, "closed");
  fail(); // 4 of 10
  assertEquals(breaker.snapshot().state, "open");
  await settle();
  assertEquals(events, ["opened: failure ratio"]);
});

Deno.test("CircuitBreaker does not open below minimumCalls, nor by calls that have left the window (cockatiel 91)", () => {
  const { breaker, clock, fail, succeed } = setUp({ failureRatio: 0.01, minimumCalls: 20, windowMs: 1_000 });
  for (let second = 0; second < 50; second++) {
    fail();
    succeed(18);
    clock.freeze(1_000);
  }
  assertEquals(breaker.snapshot().state, "closed");
});

Deno.test("CircuitBreaker rejects calls while open with the time that is left, and admits a probe after it", () => {
  const { breaker, clock, fail } = setUp();
  fail(10);
  clock.freeze(200);
  const error = assertThrows(() => breaker.admit(), CircuitOpenError, "Cannot call api: its circuit breaker is open");
  assertEquals([error.code, error.retryAfterMs, retryAfterMs(error)], ["CIRCUIT_OPEN", 300, 300]);
  assertEquals([error.http.status, error.http.retryAfterSeconds], [503, 1]);
  assertEquals(classifyFailure(error), "transient");
  clock.freeze(299);
  assert(isRejected(breaker));
  clock.freeze(1);
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 0 });
  breaker.admit();
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 1 });
});

Deno.test("CircuitBreaker lengthens openMs at random by up to a half", () => {
  for (const [random, expected] of [[0, 500], [0.5, 625], [0.999, 750]] as const) {
    const { breaker, fail } = setUp({ random: () => random });
    fail(10);
    const snapshot = breaker.snapshot();
    assertEquals(snapshot.state === "open" && Math.round(snapshot.retryAfterMs ?? 0), expected);
  }
});

Deno.test("CircuitBreaker closes after successesToClose probes", async () => {
  const { breaker, events, clock, succeed } = setUpProbing({ successesToClose: 2 });
  succeed();
  assertEquals(breaker.snapshot().state, "half-open");
  clock.freeze(100);
  succeed();
  assertEquals(breaker.snapshot().state, "closed");
  await settle();
  assertEquals(events, ["opened: consecutive failures", "half-opened", "closed after 600"]);
});

Deno.test("CircuitBreaker counts from zero after it has closed", () => {
  const { breaker, fail, succeed } = setUpProbing();
  succeed();
  fail(9);
  assertEquals(breaker.snapshot().state, "closed");
  fail();
  assertEquals(breaker.snapshot().state, "open");
});

Deno.test("CircuitBreaker opens again when a probe fails, whatever the window holds (opossum 119, 276)", async () => {
  const { breaker, events, clock, fail } = setUpProbing({ consecutiveFailures: 10, minimumCalls: 1_000 });
  clock.freeze(3_600_000); // no call is in the window
  fail();
  assertEquals(breaker.snapshot().state, "open");
  clock.freeze(500);
  assert(!isRejected(breaker));
  await settle();
  assertEquals(events, ["opened: consecutive failures", "half-opened", "opened: probe failed", "half-opened"]);
});

Deno.test("CircuitBreaker admits maxProbes probes at once and rejects the rest (opossum 819, resilience4j 1432)", () => {
  for (const maxProbes of [1, 3]) {
    const { breaker } = setUpProbing({ maxProbes, successesToClose: 10 });
    const probes = Array.from({ length: maxProbes }, () => breaker.admit());
    for (let i = 0; i < 5; i++) assert(isRejected(breaker));
    breaker.settle(probes[0] as CircuitPermit, "succeeded");
    breaker.admit();
    assert(isRejected(breaker));
  }
});

Deno.test("CircuitBreaker is not stuck by an ignored probe (opossum 388, resilience4j 544)", () => {
  const { breaker, succeed } = setUpProbing();
  for (let i = 0; i < 5; i++) breaker.settle(breaker.admit(), "ignored");
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 0 });
  succeed();
  assertEquals(breaker.snapshot().state, "closed");
});

Deno.test("CircuitBreaker is not stuck by a probe that never settles (nora 585)", () => {
  const { breaker, clock, succeed } = setUpProbing();
  const lost = breaker.admit();
  const error = assertThrows(() => breaker.admit(), CircuitOpenError);
  assertEquals(error.retryAfterMs, 1_000);
  clock.freeze(1_000);
  succeed();
  assertEquals(breaker.snapshot().state, "closed");
  breaker.settle(lost, "failed"); // it settles late after all
  assertEquals(breaker.snapshot().state, "closed");
});

Deno.test("CircuitBreaker closes for a target that takes longer than probeTimeoutMs for every call", () => {
  const { breaker, clock } = setUpProbing();
  const first = breaker.admit();
  clock.freeze(1_000);
  breaker.admit(); // the target is slow: the first probe is late, and another is sent
  clock.freeze(500);
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 2 });
  breaker.settle(first, "succeeded");
  assertEquals(breaker.snapshot(), { state: "closed" });
});

Deno.test("CircuitBreaker opens again when a late probe fails, and then ignores the one that took its room", () => {
  const { breaker, clock } = setUpProbing();
  const first = breaker.admit();
  clock.freeze(1_000);
  const second = breaker.admit();
  assert(isRejected(breaker));
  breaker.settle(first, "failed");
  assertEquals(breaker.snapshot().state, "open");
  breaker.settle(second, "succeeded");
  assertEquals(breaker.snapshot().state, "open");
});

Deno.test("CircuitBreaker sends a probe every probeTimeoutMs to a target that never responds, and keeps at most 65", () => {
  const { breaker, clock } = setUpProbing();
  for (let sent = 1; sent <= 200; sent++) {
    breaker.admit();
    assert(isRejected(breaker));
    assertEquals(breaker.snapshot(), { state: "half-open", probes: Math.min(sent, 65) });
    clock.freeze(1_000);
  }
});

Deno.test("CircuitBreaker does not put off a probe by failures that come together or late (opossum 385)", () => {
  const { breaker, clock } = setUp({ consecutiveFailures: 5 });
  const calls = Array.from({ length: 20 }, () => breaker.admit());
  for (const call of calls.slice(0, 10)) breaker.settle(call, "failed");
  clock.freeze(499);
  for (const call of calls.slice(10)) breaker.settle(call, "failed");
  clock.freeze(1);
  assert(!isRejected(breaker));
});

Deno.test("CircuitBreaker ignores results of earlier generations (Polly 216, std 7306)", () => {
  const { breaker, clock } = setUp({ successesToClose: 1 });
  const early = Array.from({ length: 12 }, () => breaker.admit());
  for (const call of early.slice(0, 10)) breaker.settle(call, "failed");
  clock.freeze(500);
  const first = breaker.admit();
  // Of the closed generation.
  breaker.settle(early[10] as CircuitPermit, "succeeded");
  breaker.settle(early[11] as CircuitPermit, "failed");
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 1 });
  // Of the half-open generation before.
  clock.freeze(1_000);
  breaker.settle(breaker.admit(), "failed");
  clock.freeze(500);
  const second = breaker.admit();
  breaker.settle(first, "succeeded");
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 1 });
  assert(isRejected(breaker));
  breaker.settle(second, "succeeded");
  breaker.settle(second, "failed");
  assertEquals(breaker.snapshot(), { state: "closed" });
});

Deno.test("CircuitBreaker closes in each of many outages, after any number of probes that fail (opossum 7, 57)", () => {
  const { breaker, clock, fail, succeed } = setUp();
  for (let outage = 0; outage < 20; outage++) {
    fail(10);
    for (let failedProbes = 0; failedProbes < outage; failedProbes++) {
      clock.freeze(500);
      const probe = breaker.admit();
      // Calls that are rejected while it is half open change nothing.
      for (let i = 0; i < 3; i++) assert(isRejected(breaker));
      breaker.settle(probe, "failed");
      assertEquals(breaker.snapshot().state, "open");
    }
    clock.freeze(500);
    succeed();
    assertEquals(breaker.snapshot(), { state: "closed" });
  }
});

Deno.test("CircuitBreaker emits the time of the whole outage when it closes, failed probes included", async () => {
  const { events, clock, fail, succeed } = setUp();
  fail(10);
  clock.freeze(500);
  fail();
  clock.freeze(700);
  succeed();
  await settle();
  assertEquals(events.at(-1), "closed after 1200");
});

Deno.test("CircuitBreaker stays closed after a probe succeeded under load (opossum 484)", () => {
  const { breaker } = setUpProbing({ maxProbes: 1 });
  const probe = breaker.admit();
  for (let i = 0; i < 100; i++) assert(isRejected(breaker));
  breaker.settle(probe, "succeeded");
  for (let i = 0; i < 100; i++) assert(!isRejected(breaker));
});

Deno.test("CircuitBreaker goes on at once after a freeze of minutes", () => {
  const { breaker, clock, fail, succeed } = setUp();
  fail(9);
  clock.freeze(600_000);
  fail(9);
  assertEquals(breaker.snapshot().state, "closed");
  fail();
  clock.freeze(600_000);
  succeed();
  assertEquals(breaker.snapshot().state, "closed");
  assertEquals(clock.timers, 0);
});
