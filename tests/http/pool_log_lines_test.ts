/** The lines of the log about the circuits and the limit of a pool, and about an environment that is not complete. */
import { assertEquals } from "@std/assert";
import { logPool } from "../../shared/http/logging/circuit_log.ts";
import { ThrottledLog } from "../../shared/http/logging/throttled_log.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("logPool() logs each circuit that opens or closes, and each limit of a dry run once", () => {
  const listeners = new Map<string, ((event: never) => void)[]>();
  const pool = {
    on: (name: string, listener: (event: never) => void) => {
      listeners.set(name, [...listeners.get(name) ?? [], listener]);
      return { [Symbol.dispose]() {} };
    },
  };
  const lines: unknown[][] = [];
  const write = (...line: unknown[]) => void lines.push(line);
  logPool(pool as never, write);
  // The handlers of an isolate share its pools.
  logPool(pool as never, write);
  logPool({}, write);
  const emit = (name: string, event: unknown) => listeners.get(name)?.forEach((listener) => listener(event as never));
  emit("circuitOpened", { target: "rest", reason: "consecutive failures", retryAfterMs: 5 });
  emit("circuitOpened", { target: "rest", reason: "probe failed", retryAfterMs: 5 });
  emit("circuitClosed", { target: "rest", openMs: 7 });
  for (const event of [{ limit: 5, applied: false }, { limit: 5, applied: false }, { limit: 6, applied: true }]) {
    emit("limitChanged", { before: 10, ...event });
  }
  assertEquals(lines, [
    ["warn", "circuit_opened", { target: "rest", reason: "consecutive failures", retryAfterMs: 5 }],
    ["info", "circuit_closed", { target: "rest", openMs: 7 }],
    ["info", "limit_not_applied", { limit: 5, before: 10 }],
  ]);
});

Deno.test("ThrottledLog.logSetupFailure() logs each error once, however many requests meet it", async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = new ThrottledLog((line) => lines.push(line), clock);
  const [first, second] = [new Error("no URL"), new Error("no key")];
  for (const error of [first, first, second, second]) {
    log.logSetupFailure(error);
    await clock.advance(1_000);
  }
  assertEquals(lines.map((line) => JSON.parse(line)).map(({ event, data }) => [event, data.error]), [
    ["request_failed", "no URL"],
    ["request_failed", "no key"],
  ]);
  const undefinedError = new ThrottledLog((line) => lines.push(line), clock);
  for (const _time of [1, 2]) undefinedError.logSetupFailure(undefined);
  assertEquals(lines.length, 3);
});
