import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { denoArgs } from "../support/deno_process.ts";
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

/** Runs the script and returns its lines. */
async function runTimer(...args: string[]): Promise<string> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...denoArgs(), new URL("clock_script.ts", import.meta.url).pathname, ...args],
    stdin: "null",
  }).output();
  assertEquals(code, 0);
  return new TextDecoder().decode(stdout);
}

Deno.test("Clock.setTimer() keeps the process alive only with keepAlive", async () => {
  // A minute would exceed the time limit of the test.
  assertEquals(await runTimer("default", "60000"), "set\n");
  assertEquals(await runTimer("keepAlive", "50"), "set\nfired\n");
});
