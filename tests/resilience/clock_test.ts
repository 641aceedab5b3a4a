import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { createSystemClock } from "../../shared/resilience/clock.ts";

Deno.test("Clock.setTimer() runs callbacks outside of the async context that set the timer", async () => {
  const requests = new AsyncLocalStorage<string>();
  const fired = Promise.withResolvers<string | undefined>();
  const clock = createSystemClock();
  const waited = await requests.run("a request", async () => {
    clock.setTimer(() => fired.resolve(requests.getStore()), 1, { keepAlive: true });
    return [await fired.promise, requests.getStore()];
  });
  assertEquals(waited, [undefined, "a request"]);
});
