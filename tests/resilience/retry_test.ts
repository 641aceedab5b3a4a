/** Tests the delays, limits and failures of `retry()`. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { classifyFailure, type Clock, retry, type RetryEvent, RetryTimeoutError } from "../../shared/resilience/mod.ts";
import { denoArgs } from "../support/deno_process.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { AMBIGUOUS, PERMANENT, script, throwing, TRANSIENT } from "./retry_script.ts";

Deno.test("retry() returns a success at once and leaves no timer", async () => {
  const clock = new FakeClock();
  const { run, attempts } = script(() => "done");
  assertEquals(await retry(run, { clock }), "done");
  assertEquals(attempts.length, 1);
  assertEquals(clock.timers, 0);
});

Deno.test("retry() doubles its delays, lengthens them by up to a half, and caps them at maxDelayMs", async () => {
  for (const [random, gaps] of [[0, [100, 200, 400, 500]], [0.999_999, [150, 300, 500, 500]]] as const) {
    const clock = new FakeClock();
    const events: RetryEvent[] = [];
    const { run, attempts } = script(throwing(TRANSIENT));
    const done = retry(run, {
      clock,
      retries: 4,
      delayMs: 100,
      maxDelayMs: 500,
      random: () => random,
      onRetry: (event) => void events.push(event),
    }).catch((error) => error);
    await clock.advance(60_000);
    assertStrictEquals(await done, TRANSIENT);
    assertEquals(attempts.length, 5);
    assertEquals(events.map(({ delayMs }) => Math.round(delayMs)), [...gaps]);
    assertEquals(events.map(({ retry }) => retry), [1, 2, 3, 4]);
    assertEquals(clock.timers, 0);
  }
});

Deno.test("retry() waits for a delay in full", async () => {
  const clock = new FakeClock();
  const { run, attempts } = script<string>(throwing(TRANSIENT), () => "done");
  const done = retry(run, { clock, delayMs: 100, random: () => 0 });
  await clock.advance(99);
  assertEquals(attempts.length, 1);
  await clock.advance(1);
  assertEquals(await done, "done");
});

Deno.test("retry() retries three times by default, and never with retries 0", async () => {
  for (const [options, expected] of [[{}, 4], [{ retries: 0 }, 1]] as const) {
    const clock = new FakeClock();
    const { run, attempts } = script(throwing(TRANSIENT));
    const done = retry(run, { clock, ...options }).catch(() => {});
    await clock.advance(60_000);
    await done;
    assertEquals(attempts.length, expected);
  }
});

Deno.test("retry() throws a permanent failure at once, unchanged", async () => {
  const { run, attempts } = script(throwing(PERMANENT));
  const clock = new FakeClock();
  assertStrictEquals(await retry(run, { clock }).catch((error) => error), PERMANENT);
  assertEquals(attempts.length, 1);
});

Deno.test("retry() retries an ambiguous failure only if the operation is idempotent", async () => {
  for (const [idempotent, expected] of [[false, 1], [true, 4]] as const) {
    const clock = new FakeClock();
    const { run, attempts } = script(throwing(AMBIGUOUS));
    const done = retry(run, { clock, idempotent }).catch((error) => error);
    await clock.advance(60_000);
    assertStrictEquals(await done, AMBIGUOUS);
    assertEquals(attempts.length, expected);
  }
});

Deno.test("retry() takes a result with an error for a failure, and returns it unchanged in the end", async () => {
  const clock = new FakeClock();
  const failed = { data: null, error: TRANSIENT, status: 500 };
  const good = { data: [1], error: null, status: 200 };
  const first = script<unknown>(() => failed, () => good);
  const done = retry(first.run, { clock });
  await clock.advance(1_000);
  assertStrictEquals(await done, good);

  const second = script(() => failed);
  const last = retry(second.run, { clock, retries: 1 });
  await clock.advance(1_000);
  assertStrictEquals(await last, failed);
  assertEquals(second.attempts.length, 2);

  const permanent = script(() => ({ data: null, error: PERMANENT }));
  await retry(permanent.run, { clock });
  assertEquals(permanent.attempts.length, 1);
});

Deno.test("retry() returns a value with an error but no data", async () => {
  const value = { error: TRANSIENT };
  const { run, attempts } = script(() => value);
  assertStrictEquals(await retry(run, { clock: new FakeClock() }), value);
  assertEquals(attempts.length, 1);
});

Deno.test("retry() throws the last error with its causes", async () => {
  const clock = new FakeClock();
  const root = Object.assign(new Error("root"), { code: "ECONNREFUSED" });
  const { run } = script(throwing(new Error("first", { cause: root })), throwing(new Error("second", { cause: root })));
  const done = assertRejects(() => retry(run, { clock, retries: 1 }), Error, "second");
  await clock.advance(1_000);
  assertStrictEquals((await done).cause, root);
});

Deno.test("retry() waits for Retry-After, and does not retry when that is past the deadline", async () => {
  const clock = new FakeClock();
  const busy = Object.assign(new Error("busy"), { status: 503, retryAfterMs: 5_000 });
  const { run, attempts } = script<string>(throwing(busy), () => "done");
  const done = retry(run, { clock });
  await clock.advance(4_999);
  assertEquals(attempts.length, 1);
  await clock.advance(1);
  assertEquals(await done, "done");

  const late = script(throwing(busy));
  assertStrictEquals(await retry(late.run, { clock, deadlineMs: 5_000 }).catch((error) => error), busy);
  assertEquals(late.attempts.length, 1);
});

Deno.test("retry() rejects with RetryTimeoutError and aborts an attempt that still runs at the deadline", async () => {
  const clock = new FakeClock();
  const hanging = Promise.withResolvers<string>();
  const { run, attempts } = script<string>(throwing(TRANSIENT), () => hanging.promise);
  const done = assertRejects(() => retry(run, { clock, deadlineMs: 1_000 }), RetryTimeoutError, "1000 ms");
  await clock.advance(999);
  assertEquals(attempts.map(({ signal }) => signal.aborted), [false, false]);
  await clock.advance(1);
  const error = await done;
  assertEquals(error.code, "RETRY_TIMEOUT");
  // For a retry around this one.
  assertEquals(classifyFailure(error), RetryTimeoutError.retry);
  assertStrictEquals(error.cause, TRANSIENT);
  assert(attempts.every(({ signal }) => signal.aborted));
  assertEquals(clock.timers, 0);
  hanging.reject(new Error("ignored"));
  await settle();
});

Deno.test("retry() rejects with the signal's reason during an attempt and during a delay", async () => {
  const clock = new FakeClock();
  for (const steps of [[() => new Promise<string>(() => {})], [throwing(TRANSIENT)]]) {
    const controller = new AbortController();
    const reason = new Error("gone");
    const { run, attempts } = script<string>(...steps);
    const done = retry(run, { clock, signal: controller.signal }).catch((error) => error);
    await settle();
    controller.abort(reason);
    assertStrictEquals(await done, reason);
    assertEquals(attempts.length, 1);
    assertEquals(clock.timers, 0);
  }
});

Deno.test("retry() begins no attempt after its deadline, however late a frozen isolate goes on", async () => {
  for (const [frozenMs, expected] of [[999, 2], [1_000, 1], [300_000, 1]] as const) {
    const clock = new FakeClock();
    const { run, attempts } = script<string>(throwing(TRANSIENT), () => "done");
    const done = retry(run, { clock, delayMs: 100, deadlineMs: 1_000, random: () => 0 }).catch((error) => error);
    await settle();
    clock.freeze(frozenMs);
    await clock.advance(0);
    assertStrictEquals(await done, expected === 2 ? "done" : TRANSIENT);
    assertEquals([attempts.length, clock.timers], [expected, 0]);
  }
});

Deno.test("retry() does not begin when its signal has aborted", async () => {
  const { run, attempts } = script(() => "done");
  await assertRejects(() => retry(run, { signal: AbortSignal.abort(new Error("gone")) }), Error, "gone");
  assertEquals(attempts.length, 0);
});

Deno.test("retry() ignores what onRetry throws", async () => {
  const clock = new FakeClock();
  const { run } = script<string>(throwing(TRANSIENT), () => "done");
  const done = retry(run, { clock, onRetry: throwing(new Error("observer")) });
  await clock.advance(1_000);
  assertEquals(await done, "done");
  const again = script<string>(throwing(TRANSIENT), () => "done");
  const late = retry(again.run, { clock, onRetry: () => Promise.reject(new Error("observer")) });
  await clock.advance(1_000);
  assertEquals(await late, "done");
});

Deno.test("retry() throws a RangeError that names the option and its value", async () => {
  const bad = [{ retries: -1 }, { retries: 1.5 }, { retries: NaN }, { delayMs: -1 }, { deadlineMs: 0 }, {
    maxDelayMs: Infinity,
  }];
  for (const options of bad) {
    const [[name, value]] = Object.entries(options) as [[string, number]];
    const { run, attempts } = script(() => "done");
    const { message } = await assertRejects(() => retry(run, options), RangeError, `${name} must be a`);
    assert(message.endsWith(`: it is ${value}`), message);
    assertEquals(attempts.length, 0);
  }
});

Deno.test("retry() keeps the process alive during a delay", async () => {
  const script = `
    import { retry } from "${import.meta.resolve("../../shared/resilience/mod.ts")}";
    let attempts = 0;
    const fail = () => { if (++attempts < 2) throw { code: "40001" }; return "done"; };
    // Not awaited at the top level, which would itself keep the process.
    retry(fail, { delayMs: 100 }).then((done) => console.log(done, attempts));
  `;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...denoArgs(), "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { stdout, code } = await child.output();
  assertEquals([new TextDecoder().decode(stdout).trim(), code], ["done 2", 0]);
});

Deno.test("retry() names the number of attempts, the running one included, in RetryTimeoutError", async () => {
  for (const [failures, text] of [[0, "and 1 attempt"], [1, "and 2 attempts"], [2, "and 3 attempts"]] as const) {
    const clock = new FakeClock();
    const { run } = script<string>(...new Array(failures).fill(throwing(TRANSIENT)), () => new Promise(() => {}));
    const done = retry(run, { clock, delayMs: 1, deadlineMs: 1_000, random: () => 0 }).catch((error) => error);
    await clock.advance(1_000);
    const { message } = await done;
    assert(message.endsWith(text), message);
  }
});

Deno.test("retry() accepts each option at its least and most, and nothing beyond", async () => {
  const most = 2_147_483_647;
  const ranges = { retries: [0, 100], delayMs: [0, most], maxDelayMs: [0, most], deadlineMs: [1, most] } as const;
  for (const [name, [least, highest]] of Object.entries(ranges)) {
    const { run } = script(() => "done");
    for (const value of [least, highest]) {
      assertEquals(await retry(run, { [name]: value, clock: new FakeClock() }), "done");
    }
    for (const value of [least - 1, highest + 1, NaN]) {
      await assertRejects(() => retry(run, { [name]: value }), RangeError);
    }
  }
});

Deno.test("retry() keeps the process alive during a delay", async () => {
  const clock = new FakeClock();
  const kept: unknown[] = [];
  const watched: Clock = {
    now: () => clock.now(),
    setTimer: (callback, delayMs, options) => {
      kept.push([delayMs, options?.keepAlive]);
      return clock.setTimer(callback, delayMs);
    },
  };
  const { run } = script<string>(throwing(TRANSIENT), () => "done");
  const done = retry(run, { clock: watched, delayMs: 7, random: () => 0 });
  await clock.advance(7);
  assertEquals(await done, "done");
  assertEquals(kept.filter((each) => Array.isArray(each) && each[0] === 7), [[7, true]]);
});
