import { assert } from "@std/assert";
import { CreationBackoff } from "../../shared/pool/creation_backoff.ts";
import type { Clock } from "../../shared/resilience/mod.ts";

Deno.test("CreationBackoff wakes again where a pause ends between two looks at the clock", () => {
  let now = 0;
  let pending: (() => void) | undefined;
  // Each look takes a ms, and the timer comes a moment early.
  const clock: Clock = {
    now: () => now++,
    setTimer: (callback, delayMs) => {
      const early = now + delayMs - 3;
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
  assert(allowed, "nobody is told that the pause is over");
  backoff.stop();
});
