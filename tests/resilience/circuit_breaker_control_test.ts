/** A circuit breaker from outside: opened by hand, seeded, restored, run, configured and observed. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { CircuitBreaker, type CircuitBreakerOptions, CircuitOpenError } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { isRejected, setUp } from "./circuit_breaker_support.ts";

Deno.test("CircuitBreaker.restore() puts the circuit into a state, whose generation is its own", async () => {
  const { breaker, events, clock, succeed, fail } = setUp();
  fail(9);
  const early = breaker.admit();
  breaker.restore({ state: "open", retryAfterMs: 300 });
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 300 });
  breaker.settle(early, "succeeded");
  clock.freeze(300);
  succeed();
  assertEquals(breaker.snapshot(), { state: "closed" });
  fail(9);
  breaker.restore({ state: "closed" });
  fail(9);
  assertEquals(breaker.snapshot(), { state: "closed" });
  breaker.restore({ state: "half-open", probes: 7 });
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 0 });
  const probe = breaker.admit();
  clock.freeze(20);
  breaker.settle(probe, "succeeded");
  breaker.force("open");
  breaker.restore({ state: "closed" });
  assert(breaker.isClosed);
  breaker.restore({ state: "closed", forced: true });
  fail(100);
  assert(breaker.isClosed);
  await settle();
  const closed = events.filter((event) => event.startsWith("closed"));
  assertEquals(closed, ["closed after 300", "closed after 20"]);
});

Deno.test("CircuitBreaker.force() opens and closes by hand, and its rules go on afterwards", async () => {
  const { breaker, events, clock, fail } = setUp();
  breaker.force("open");
  breaker.force("open");
  assertEquals(breaker.snapshot(), { state: "open", forced: true });
  const error = assertThrows(() => breaker.admit(), CircuitOpenError, "it was opened by hand");
  assertEquals([error.retryAfterMs, error.http.retryAfterSeconds], [undefined, 1]);
  clock.freeze(600_000);
  assert(isRejected(breaker));
  breaker.force(undefined);
  assertEquals(breaker.snapshot(), { state: "closed" });
  fail(10);
  breaker.force("closed");
  assertEquals(breaker.snapshot(), { state: "closed", forced: true });
  for (let i = 0; i < 100; i++) breaker.settle(breaker.admit(), "failed");
  breaker.force(undefined);
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 500 });
  await settle();
  assertEquals(events, [
    "opened: forced",
    "closed after 600000",
    "opened: consecutive failures",
    "closed after 0",
    "opened: consecutive failures",
  ]);
});

Deno.test("CircuitBreaker.force() emits nothing while calls go on being admitted, or rejected", async () => {
  const { breaker, events, clock, fail, succeed } = setUp();
  clock.freeze(5_000);
  breaker.force("closed"); // it never was open
  fail(10); // its rules would open it
  await settle();
  assertEquals(events, []);
  breaker.force("open");
  clock.freeze(1_000);
  breaker.force(undefined); // its rules have opened it meanwhile
  const probe = breaker.admit();
  breaker.force("open");
  breaker.settle(probe, "succeeded");
  await settle();
  assertEquals(events, ["opened: forced", "half-opened", "opened: forced"]);
  assertEquals(breaker.snapshot(), { state: "open", forced: true });
  breaker.force(undefined); // the probe has closed it
  succeed();
  await settle();
  assertEquals(events.at(-1), "closed after 1000");
});

Deno.test("CircuitBreaker rejects a state that is not one, and changes nothing", () => {
  const { breaker } = setUp();
  const force = breaker.force.bind(breaker) as (state: unknown) => void;
  for (const state of ["OPEN", "half-open", "", null, true]) {
    assertThrows(() => force(state), RangeError, "the state must");
  }
  const restore = breaker.restore.bind(breaker) as (state: unknown) => void;
  const states = [undefined, null, "open", [], {}, { state: "OPEN" }, { state: "half-open-ish" }];
  for (
    const state of [...states, { state: "open", forced: "yes" }, {
      get state() {
        throw 1;
      },
    }]
  ) {
    assertThrows(() => restore(state), RangeError, "must be what snapshot() returned");
    if (state === undefined) continue;
    assertThrows(() => setUp({ seed: state as never }), RangeError, "must be what snapshot() returned");
  }
  assertEquals(breaker.snapshot(), { state: "closed" });
});

Deno.test("CircuitBreaker begins in the state of its seed, and leaves it (opossum 658)", async () => {
  const closed = setUp({ seed: { state: "closed" } });
  assert(!isRejected(closed.breaker));

  const open = setUp({ seed: { state: "open", retryAfterMs: 300 } });
  assert(isRejected(open.breaker));
  open.clock.freeze(300);
  open.succeed();
  assertEquals(open.breaker.snapshot(), { state: "closed" });

  const half = setUp({ seed: { state: "half-open", probes: 7 } });
  assertEquals(half.breaker.snapshot(), { state: "half-open", probes: 0 });
  half.succeed();
  assertEquals(half.breaker.snapshot(), { state: "closed" });

  const forced = setUp({ seed: { state: "open", forced: true } });
  assert(isRejected(forced.breaker));
  forced.clock.freeze(100);
  forced.breaker.force(undefined);
  assert(!isRejected(forced.breaker));
  await settle();
  assertEquals(forced.events, ["closed after 100"]);
});

Deno.test("CircuitBreaker does not stay open for longer than its own time, whatever its seed says", () => {
  for (const retryAfterMs of [1e12, Infinity, NaN, -5, undefined]) {
    const { breaker, clock } = setUp({ seed: { state: "open", retryAfterMs } });
    clock.freeze(750);
    assert(!isRejected(breaker), String(retryAfterMs));
  }
});

Deno.test("CircuitBreaker.run() settles as the call does, and counts rejections but AbortErrors", async () => {
  const { breaker } = setUp({ consecutiveFailures: 2 });
  assertEquals(await breaker.run(() => 5), 5);
  for (let i = 0; i < 5; i++) {
    await assertRejects(() => breaker.run(() => Promise.reject(new DOMException("gone", "AbortError"))), DOMException);
  }
  assertEquals(breaker.snapshot().state, "closed");
  for (let i = 0; i < 2; i++) {
    await assertRejects(() => breaker.run(() => Promise.reject(new Error("down"))), Error, "down");
  }
  let calls = 0;
  await assertRejects(() => breaker.run(() => ++calls), CircuitOpenError);
  assertEquals(calls, 0);
});

Deno.test("CircuitBreaker.run() lets its caller judge results", async () => {
  const { breaker } = setUp({ consecutiveFailures: 1 });
  const judge = (settled: object) =>
    "value" in settled && settled.value === 503 ? "failed" as const : "succeeded" as const;
  assertEquals(await breaker.run(() => 503, judge), 503);
  assertEquals(breaker.snapshot().state, "open");
});

Deno.test("CircuitBreaker.run() settles as the call does if its judge throws, and no probe is lost", async () => {
  const { breaker, clock, fail } = setUp();
  const errors: unknown[] = [];
  breaker.on("error", ({ error }) => errors.push(error));
  const judge = () => {
    throw "judge";
  };
  fail(10);
  clock.freeze(500);
  assertEquals(await breaker.run(() => 5, judge), 5);
  await assertRejects(() => breaker.run(() => Promise.reject(new Error("down")), judge), Error, "down");
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 0 });
  await settle();
  assertEquals(errors, ["judge", "judge"]);
});

Deno.test("CircuitBreaker rejects options out of range by name", () => {
  const invalid: Partial<CircuitBreakerOptions>[] = [
    { consecutiveFailures: 0 },
    { minimumCalls: 1.5 },
    { maxProbes: NaN },
    { successesToClose: -1 },
    { windowMs: 0 },
    { openMs: Infinity },
    { probeTimeoutMs: 2 ** 31 },
    { failureRatio: 0 },
    { failureRatio: 1.1 },
    { failureRatio: NaN },
  ];
  for (const options of invalid) {
    const { message } = assertThrows(() => setUp(options), RangeError);
    assertStringIncludes(message, `${Object.keys(options)[0]} must be `);
  }
});

Deno.test("CircuitBreaker reports a listener that fails as an error event, and goes on", async () => {
  const { breaker, fail } = setUp();
  const errors: unknown[] = [];
  breaker.on("error", ({ error }) => errors.push(error));
  breaker.on("opened", () => {
    throw "listener";
  });
  fail(10);
  await settle();
  assertEquals(errors, ["listener"]);
  assert(isRejected(breaker));
});

Deno.test("CircuitBreaker.admitPaced() admits calls in every state: in a circuit that is not closed they are probes", () => {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker({ target: "t", consecutiveFailures: 1, clock, random: () => 0 });
  breaker.settle(breaker.admitPaced(), "failed");
  assertEquals(breaker.snapshot().state, "open");
  const probes = [breaker.admitPaced(), breaker.admitPaced()];
  assertEquals(breaker.snapshot(), { state: "half-open", probes: 2 });
  for (const probe of probes) breaker.settle(probe, "failed");
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 500 });
  breaker.settle(breaker.admitPaced(), "succeeded");
  assertEquals(breaker.snapshot(), { state: "closed" });
  breaker.settle(breaker.admitPaced(), "failed");
  breaker.force("closed");
  breaker.settle(breaker.admitPaced(), "succeeded");
  breaker.force(undefined);
  assertEquals(breaker.snapshot(), { state: "open", retryAfterMs: 500 });
});
