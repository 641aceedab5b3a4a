import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { denoArgs } from "../support/deno_process.ts";
import { createSystemClock, MAX_TIMER_MS } from "../../shared/resilience/clock.ts";

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

/** Replaces a member until disposed. */
function replace<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): Disposable {
  const before = owner[name];
  owner[name] = value;
  return { [Symbol.dispose]: () => void (owner[name] = before) };
}

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

Deno.test("createSystemClock() never goes back, and goes on at once after the wall clock was set back", () => {
  let wall = 5_000;
  using _wall = replace(Date, "now", () => wall);
  const clock = createSystemClock();
  const times: number[] = [];
  for (const each of [5_000, 5_001, 5_101, 2_000, 2_000, 2_010, 9_010, 9_009, 9_010]) {
    wall = each;
    times.push(clock.now());
  }
  assertEquals(times, [0, 1, 101, 101, 101, 111, 7_111, 7_111, 7_112]);
});

Deno.test("Clock.setTimer() fires a delay below 0 at once, and none beyond the longest of a timer", () => {
  const delays: unknown[] = [];
  const setTimeout = (_call: unknown, delayMs: unknown) => (delays.push(delayMs), 0);
  using _timers = replace<{ setTimeout: unknown }, "setTimeout">(globalThis, "setTimeout", setTimeout);
  const clock = createSystemClock();
  for (const delayMs of [-1, 0, 1, MAX_TIMER_MS, MAX_TIMER_MS + 1, Infinity]) {
    clock.setTimer(() => {}, delayMs, { keepAlive: true });
  }
  assertEquals(delays, [0, 0, 1, 2_147_483_647, 2_147_483_647, 2_147_483_647]);
});

Deno.test("Timer.cancel() of the system clock cancels the timer", async () => {
  const clock = createSystemClock();
  let fired = false;
  clock.setTimer(() => fired = true, 1, { keepAlive: true }).cancel();
  await new Promise<void>((resolve) => clock.setTimer(resolve, 5, { keepAlive: true }));
  assertEquals(fired, false);
});
