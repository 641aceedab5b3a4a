/** Tests `retry()` inside `retry()`, and one after the other. */
import { assertEquals } from "@std/assert";
import { retry } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { AMBIGUOUS, script, throwing, TRANSIENT } from "./retry_script.ts";

/** Runs `retry` inside `retry`, as deep as `retries` has elements, and returns how often `operation` ran. */
async function nested(
  operation: (clock: FakeClock) => unknown,
  retries: readonly number[],
  idempotent: boolean,
): Promise<number> {
  const clock = new FakeClock();
  let ran = 0;
  const run = ([outer, ...inner]: readonly number[]): unknown => {
    if (outer === undefined) {
      ran++;
      return operation(clock);
    }
    return retry(() => run(inner), { clock, retries: outer, idempotent: idempotent || inner.length > 0 });
  };
  const settled = Promise.resolve(run(retries)).catch(() => {});
  await clock.advance(600_000);
  await settled;
  return ran;
}

Deno.test("retry() counts the attempts of a retry inside it as its own", async () => {
  const conflict = () => Promise.reject(Object.assign(new Error("conflict"), { code: "40001" }));
  assertEquals(await nested(conflict, [3, 3], false), 4);
  assertEquals(await nested(conflict, [3, 3, 3], false), 4);
  assertEquals(await nested(conflict, [1, 5], false), 6, "the inner one decides how often it retries");
  assertEquals(await nested(conflict, [5, 1], false), 6, "and the outer one makes up the rest");
  assertEquals(await nested(conflict, [0, 0], false), 1);
  // The same error object each time, as that of an operation before it, wrapped, and as a result.
  assertEquals(await nested(throwing(TRANSIENT), [3, 3], false), 4);
  assertEquals(await nested(throwing(TRANSIENT), [3, 3], false), 4);
  const failed = () => ({ data: null, error: { ...TRANSIENT } });
  assertEquals(await nested(failed, [3, 3], false), 4);
  const wrapped = (clock: FakeClock) =>
    retry(conflict, { clock }).catch((cause) => {
      throw new Error("wrapped", { cause });
    });
  assertEquals(await nested(wrapped, [3], false), 1);
});

Deno.test("retry() retries what a retry inside it did not", async () => {
  // The inner one is not idempotent, the outer one is.
  assertEquals(await nested(throwing(AMBIGUOUS), [3, 3], false), 4);
});

Deno.test("retry() counts a retry that ran before it as another operation", async () => {
  const clock = new FakeClock();
  const first = retry(throwing(TRANSIENT), { clock }).catch(() => {});
  await clock.advance(60_000);
  await first;
  const { run, attempts } = script(throwing(TRANSIENT));
  const second = retry(run, { clock }).catch(() => {});
  await clock.advance(60_000);
  await second;
  assertEquals(attempts.length, 4);
});
