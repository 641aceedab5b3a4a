import { assert } from "@std/assert";
import { CreationBackoff } from "../../shared/pool/creation_backoff.ts";
import type { Clock } from "../../shared/resilience/mod.ts";

/** Whether somebody learns that a pause is over, when each look at the clock takes a ms and the timer comes early. */
function isTold(earlyMs: number): boolean {
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
  const backoff = new CreationBackoff(clock, 100, () => 0, () => allowed ||= backoff.mayRetry(clock.now()));
  backoff.failed(new Error("refused"), true, clock.now(), clock.now());
  for (let turns = 0; turns < 20 && pending && !allowed; turns++) pending();
  backoff.stop();
  return allowed;
}

Deno.test("CreationBackoff wakes again where a pause ends between two looks at the clock", () => {
  for (const earlyMs of [0, 1, 2, 3, 4, 5]) assert(isTold(earlyMs), `${earlyMs} ms early`);
});
