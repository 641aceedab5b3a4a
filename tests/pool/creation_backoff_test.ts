import { assert } from "@std/assert";
import { CreationBackoff } from "../../shared/pool/creation_backoff.ts";
import type { Clock } from "../../shared/resilience/mod.ts";

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
