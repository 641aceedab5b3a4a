import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable } from "@std/async/abortable";

/** Runs with the real package (`deno task test:jsr`) and with the one of `local/std`: both behave alike. */
const REASON = new Error("aborted");

function aborted(): AbortSignal {
  return AbortSignal.abort(REASON);
}

async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then((value) => ({ value }), (error) => error);
}

Deno.test("abortable() settles as the promise does while the signal does not abort", async () => {
  const { signal } = new AbortController();
  assertEquals(await abortable(Promise.resolve(7), signal), 7);
  await assertRejects(() => abortable(Promise.reject(new TypeError("own")), signal), TypeError, "own");
});

Deno.test("abortable() rejects with the reason of a signal that aborts first", async () => {
  const controller = new AbortController();
  const waiting = reasonOf(abortable(new Promise(() => {}), controller.signal));
  controller.abort(REASON);
  assertStrictEquals(await waiting, REASON);
});

Deno.test("abortable() rejects where the signal has aborted, and leaves no unhandled rejection", async () => {
  assertStrictEquals(await reasonOf(abortable(Promise.resolve(7), aborted())), REASON);
  assertStrictEquals(await reasonOf(abortable(Promise.reject(new Error("lost")), aborted())), REASON);
});

Deno.test("abortable() removes its listener when the promise settles", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  signal.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof addEventListener>) {
    listeners++;
    return addEventListener.apply(this, args);
  };
  signal.removeEventListener = function (this: AbortSignal, ...args: Parameters<typeof removeEventListener>) {
    listeners--;
    return removeEventListener.apply(this, args);
  };
  await abortable(Promise.resolve(), signal);
  assertEquals(listeners, 0);
});

Deno.test("abortable() ends the iteration of an async iterable, and closes it", async () => {
  const controller = new AbortController();
  const seen: unknown[] = [];
  async function* source(): AsyncGenerator<number> {
    try {
      yield 1;
      yield 2;
      yield 3;
    } finally {
      seen.push("closed");
    }
  }
  await assertRejects(
    async () => {
      for await (const item of abortable(source(), controller.signal)) {
        seen.push(item);
        if (item === 2) controller.abort(REASON);
      }
    },
    Error,
    "aborted",
  );
  assertEquals(seen, [1, 2, "closed"]);
  seen.length = 0;
  for await (const item of abortable(source(), new AbortController().signal)) seen.push(item);
  assertEquals(seen, [1, 2, 3, "closed"]);
  await assertRejects(() => abortable(source(), aborted()).next(), Error, "aborted");
});
