import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { createSystemClock } from "../../shared/resilience/clock.ts";

Deno.test("a timer runs as nobody's: in the context of no request, whoever set it", async () => {
  const requests = new AsyncLocalStorage<string>();
  const fired = Promise.withResolvers<string | undefined>();
  const clock = createSystemClock();
  const waited = await requests.run("a request", async () => {
    clock.setTimer(() => fired.resolve(requests.getStore()), 1, { keepAlive: true });
    return [await fired.promise, requests.getStore()];
  });
  assertEquals(waited, [undefined, "a request"]);
});
