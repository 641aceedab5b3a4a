import { assert, assertEquals } from "@std/assert";
import { CreationBackoff } from "../../shared/pool/creation_backoff.ts";
import type { Clock } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Returns whether the end of a pause is reported, when each reading of the clock takes a ms and the timer fires early. */
function reportsEnd(earlyMs: number): boolean {
  let now = 0;
  let pending: (() => void) | undefined;
  const clock: Clock = {
    now: () => now++,
    setTimer: (callback, delayMs) => {
      const early = now + delayMs - earlyMs;
      pending = () => {
        pending = undefined;
        now = Math.max(now, early);
        callback();
      };
      return { cancel: () => pending = undefined };
    },
  };
  let allowed = false;
  const backoff = new CreationBackoff(clock, 100, () => 0, () => allowed ||= clock.now() >= backoff.retryAt);
  backoff.failed({ error: new Error("refused"), kind: "transient", startedAt: clock.now() }, clock.now());
  for (let turns = 0; turns < 20 && pending && !allowed; turns++) pending();
  backoff.stop();
  return allowed;
}

Deno.test("CreationBackoff calls onEnd again when a pause ends between two readings of the clock", () => {
  for (const earlyMs of [0, 1, 2, 3, 4, 5]) assert(reportsEnd(earlyMs), `${earlyMs} ms early`);
});

function asking(retryAfterMs: number): Error {
  return Object.assign(new Error("busy"), { retryAfterMs });
}

/** Returns the pauses after failures of attempts that began one after another. */
function pausesAfter(kind: "transient" | "permanent", errors: readonly Error[]): { retry: number; refill: number }[] {
  const clock = new FakeClock();
  const backoff = new CreationBackoff(clock, 100, () => 0, () => {});
  const pauses = errors.map((error) => {
    clock.freeze(100_000);
    const now = clock.now();
    backoff.failed({ error, kind, startedAt: now }, now);
    return { retry: Math.max(0, backoff.retryAt - now), refill: backoff.refillAt - now };
  });
  backoff.stop();
  return pauses;
}

Deno.test("CreationBackoff pauses for as long as a failure asks, at least its own pause and at most a minute", () => {
  const errors = [asking(5_000), asking(50), asking(3_600_000), new Error("refused")];
  const pauses = pausesAfter("transient", errors);
  assertEquals(pauses.map(({ retry }) => retry), [5_000, 200, 60_000, 800]);
  assertEquals(pauses.map(({ refill }) => refill), [5_000, 200, 60_000, 800]);
});

Deno.test("CreationBackoff lets each acquire try once more after a permanent failure, whatever that asks for", () => {
  assertEquals(pausesAfter("permanent", [asking(5_000)]), [{ retry: 0, refill: 5_000 }]);
});

Deno.test("CreationBackoff pauses for the longest that attempts which began together ask for", () => {
  const clock = new FakeClock();
  const backoff = new CreationBackoff(clock, 100, () => 0, () => {});
  const startedAt = clock.now();
  for (const ms of [300, 5_000, 1_000]) backoff.failed({ error: asking(ms), kind: "transient", startedAt }, startedAt);
  assertEquals(backoff.retryAt - startedAt, 5_000);
  backoff.succeeded();
  assertEquals(backoff.retryAt, -Infinity);
  backoff.stop();
});
