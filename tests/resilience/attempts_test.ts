import { assertEquals, assertRejects } from "@std/assert";
import {
  AttemptCounter,
  attemptsOf,
  CircuitOpenError,
  passAttempts,
  rememberResponse,
  retry,
} from "../../shared/resilience/mod.ts";
import { ServiceError, toServiceError } from "../../shared/services/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Fails with each of `failures` in turn, 100 ms apart, and returns the last one. */
function failing(...failures: unknown[]): { last: unknown; attempts: number } {
  const clock = new FakeClock();
  const counter = new AttemptCounter(clock);
  for (const failure of failures) {
    counter.begin();
    counter.fail(failure);
    clock.freeze(100);
  }
  const last = failures.at(-1);
  counter.end(last);
  return { last, attempts: counter.attempts };
}

Deno.test("attemptsOf() returns the time and the code, status or name of each attempt", () => {
  const flattened = new Error("x");
  rememberResponse(flattened, { status: 520, retryAfterMs: undefined, asUser: false });
  const { last } = failing(
    Object.assign(new Error("x"), { code: "ECONNREFUSED" }),
    new Response(null, { status: 503 }),
    { data: null, error: { code: "PGRST002", message: "x" }, status: 503 },
    flattened,
    new TypeError("error sending request"),
    new Error("x"),
  );
  assertEquals(attemptsOf(last), [
    { afterMs: 0, outcome: "ECONNREFUSED" },
    { afterMs: 100, outcome: "503" },
    { afterMs: 200, outcome: "PGRST002" },
    { afterMs: 300, outcome: "520" },
    { afterMs: 400, outcome: "TypeError" },
    { afterMs: 500, outcome: "Error" },
  ]);
});

Deno.test("attemptsOf() shows no text that a user may have written, and keeps the last ten attempts", () => {
  const secret = { code: "postgres://user:secret@host", message: "secret" };
  const { last, attempts } = failing(...Array(99).fill("secret text"), secret, new Error("last"));
  const shown = attemptsOf(last);
  assertEquals([attempts, shown.length], [101, 10]);
  assertEquals(shown.slice(-3).map(({ outcome }) => outcome), ["string", "object", "Error"]);
  assertEquals([shown[0]?.afterMs, shown[9]?.afterMs], [0, 900]);
});

Deno.test("attemptsOf() is empty for an operation that failed once, and has the attempt before an open circuit", () => {
  assertEquals(attemptsOf(failing(new Error("once")).last), []);
  assertEquals(attemptsOf(undefined), []);
  const counter = new AttemptCounter(new FakeClock());
  counter.begin();
  counter.fail(new TypeError("x"));
  const open = new CircuitOpenError("api", 500);
  counter.end(open);
  assertEquals(attemptsOf(open), [{ afterMs: 0, outcome: "TypeError" }]);
});

Deno.test("retry() keeps the attempts of a retry inside in the history of its error", async () => {
  const clock = new FakeClock();
  const inner = () =>
    retry(() => Promise.reject(Object.assign(new Error("x"), { code: "ECONNREFUSED" })), { retries: 1, clock });
  const outer = assertRejects(() => retry(inner, { retries: 3, clock }), Error);
  await clock.advance(10_000);
  const history = attemptsOf(await outer);
  assertEquals(history.map(({ outcome }) => outcome), Array(4).fill("ECONNREFUSED"));
});

Deno.test("ServiceError.attempts has the history of the failure that it was created from", () => {
  const result = { message: "x", code: "PGRST002", details: null, hint: null };
  const { last } = failing(new TypeError("x"), result);
  const error = toServiceError(last) as ServiceError;
  assertEquals(error.attempts.map(({ outcome }) => outcome), ["TypeError", "PGRST002"]);
  const other = new Error("other");
  passAttempts(error, other);
  passAttempts(new Error("without"), other);
  assertEquals(attemptsOf(other).length, 2);
  assertEquals(new ServiceError({ code: "X", status: 500, message: "x" }).attempts, []);
});
