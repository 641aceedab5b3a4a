import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import type { Credentials } from "../../shared/supabase/identity.ts";
import { RequestTimeoutError } from "../../shared/supabase/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { ANONYMOUS, BASE, calling, counted, URL_OF_X } from "./lease_fetch_rig.ts";

Deno.test("LeaseFetch.fetch() leaves no timer and no listener, however a call ends", async () => {
  const caller = counted();
  const own = counted();
  const { calls, clock, sent } = calling({ signal: caller.signal });
  const call = async (end: (response: Promise<Response>) => unknown) => {
    const response = calls.fetch(URL_OF_X, { signal: own.signal });
    await settle();
    assertEquals([caller.count.listeners, own.count.listeners, clock.timers], [1, 1, 1]);
    await end(response);
    assertEquals([caller.count.listeners, own.count.listeners, clock.timers], [0, 0, 0]);
  };
  await call(async (response) => {
    sent.at(-1)?.answer(new Response("x"));
    assertEquals(await (await response).text(), "x");
  });
  await call(async (response) => {
    sent.at(-1)?.answer(new Response(null, { status: 204 }));
    await response;
  });
  await call(async (response) => {
    sent.at(-1)?.answer(new Response("x"));
    await (await response).body?.cancel();
  });
  await call(async (response) => {
    await clock.advance(1_000);
    await assertRejects(() => response, RequestTimeoutError);
  });
  await call(async (response) => {
    calls.end();
    await assertRejects(() => response, LeaseReleasedError);
  });
});

Deno.test("LeaseFetch.fetch() times out a fetch that ignores its signal, and cancels its late response", async () => {
  const answered = Promise.withResolvers<Response>();
  let cancelled = false;
  const body = new ReadableStream({ cancel: () => void (cancelled = true) });
  const { calls, clock } = calling({ fetch: () => answered.promise });
  const call = calls.fetch(URL_OF_X);
  await clock.advance(1_000);
  await assertRejects(() => call, RequestTimeoutError);
  assertEquals([calls.finish(), clock.timers, cancelled], [undefined, 0, false]);
  answered.resolve(new Response(body));
  await settle();
  assert(cancelled);
});

Deno.test("LeaseFetch.fetch() rejects with the reason of the caller's signal or of its own", async () => {
  for (const which of ["caller", "own"] as const) {
    const caller = new AbortController();
    const own = new AbortController();
    const { calls, sent } = calling({ signal: caller.signal });
    const call = calls.fetch(URL_OF_X, { signal: own.signal });
    await settle();
    const reason = new Error("gone");
    ({ caller, own })[which].abort(reason);
    assertStrictEquals(await call.catch((error) => error), reason);
    assertEquals(sent[0]?.signal?.aborted, true);
  }
});

Deno.test("LeaseFetch.fetch() sends no call whose signal was aborted before", async () => {
  const aborted = AbortSignal.abort(new Error("gone"));
  const { calls, clock, sent } = calling();
  await assertRejects(() => calls.fetch(URL_OF_X, { signal: aborted }), Error, "gone");
  await assertRejects(() => calls.fetch(new Request(URL_OF_X, { signal: aborted })), Error, "gone");
  const ofAborted = calling({ signal: aborted });
  await assertRejects(() => ofAborted.calls.fetch(URL_OF_X), Error, "gone");
  assertEquals([sent.length, ofAborted.sent.length, clock.timers], [0, 0, 0]);
});

Deno.test("LeaseFetch.fetch() sends no call that is aborted while it waits for a slot, although the slot is granted", async () => {
  const slot = Promise.withResolvers<void>();
  const { calls, sent } = calling({ take: () => slot.promise });
  const call = calls.fetch(URL_OF_X);
  await settle();
  slot.resolve();
  calls.end(new Error("gone"));
  await assertRejects(() => call, Error, "gone");
  await settle();
  assertEquals(sent.length, 0);
});

Deno.test("LeaseFetch.fetch() sends no call that is aborted at the moment its slot is granted", async () => {
  for (let turns = 0; turns < 12; turns++) {
    const slot = Promise.withResolvers<void>();
    const late: boolean[] = [];
    const fetch: typeof globalThis.fetch = (_input, init) => {
      late.push(init?.signal?.aborted === true);
      return Promise.resolve(new Response(null, { status: 204 }));
    };
    const { calls } = calling({ take: () => slot.promise, fetch });
    const call = calls.fetch(URL_OF_X).catch(() => {});
    await settle();
    slot.resolve();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    calls.end();
    await call;
    assertEquals(late.includes(true), false, `sent although aborted after ${turns} turns`);
  }
});

Deno.test("LeaseFetch.fetch() takes no slot for a call that is aborted at the moment it gets its permit", async () => {
  for (let turns = 0; turns < 12; turns++) {
    let ended = false;
    const late: boolean[] = [];
    const { calls, sent } = calling({ callsPerLease: 1, take: () => void late.push(ended) });
    const first = calls.fetch(URL_OF_X);
    const second = calls.fetch(URL_OF_X).catch(() => {});
    await settle();
    sent[0]?.answer(new Response(null, { status: 204 }));
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    ended = true;
    calls.end();
    await first.catch(() => {});
    await second;
    assertEquals(late.includes(true), false, `taken although aborted after ${turns} turns`);
  }
});

Deno.test("LeaseFetch.fetch() leaves no listener after a wait for a slot or a permit", async () => {
  const { calls, sent } = calling({ callsPerLease: 1, take: () => Promise.resolve() });
  let listeners = 0;
  const add = AbortSignal.prototype.addEventListener;
  const remove = AbortSignal.prototype.removeEventListener;
  const own = new Map<AbortSignal, number>();
  const note = (signal: AbortSignal, by: number) => own.set(signal, (own.get(signal) ?? 0) + by);
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...args: unknown[]) {
    note(this, 1);
    return Reflect.apply(add, this, args);
  };
  AbortSignal.prototype.removeEventListener = function (this: AbortSignal, ...args: unknown[]) {
    note(this, -1);
    return Reflect.apply(remove, this, args);
  };
  try {
    const first = calls.fetch(URL_OF_X);
    const second = calls.fetch(URL_OF_X);
    await settle();
    sent[0]?.answer(new Response(null, { status: 204 }));
    await first;
    await settle();
    sent[1]?.answer(new Response(null, { status: 204 }));
    await second;
    await settle();
  } finally {
    AbortSignal.prototype.addEventListener = add;
    AbortSignal.prototype.removeEventListener = remove;
  }
  for (const { signal } of sent) if (signal) listeners += own.get(signal) ?? 0;
  assertEquals(listeners, 2); // those of the fake fetch, which keeps one per call
});

Deno.test("LeaseFetch.fetch() frees one permit per call, also if its body ends twice", async () => {
  const { calls, sent } = calling({ callsPerLease: 2 });
  for (let round = 0; round < 3; round++) {
    const call = calls.fetch(URL_OF_X);
    await settle();
    sent.at(-1)?.answer(new Response("x"));
    const response = await call;
    const copy = response.clone();
    await Promise.all([response.text(), copy.text()]);
    await response.body?.cancel().catch(() => {});
  }
  const before = sent.length;
  const more = [1, 2, 3, 4].map(() => calls.fetch(URL_OF_X));
  await settle();
  assertEquals(sent.length - before, 2);
  calls.end();
  for (const call of more) await assertRejects(() => call, LeaseReleasedError);
});

Deno.test("LeaseFetch.fetch() frees the permit of an aborted call at once", async () => {
  const { calls, sent } = calling({ callsPerLease: 1 });
  const own = new AbortController();
  const first = calls.fetch(URL_OF_X, { signal: own.signal });
  await settle();
  sent[0]?.answer(new Response(new ReadableStream()));
  const response = await first;
  const second = calls.fetch(URL_OF_X);
  await settle();
  assertEquals(sent.length, 1);
  own.abort(new Error("enough"));
  await settle();
  assertEquals(sent.length, 2);
  await assertRejects(() => response.text(), Error, "enough");
  sent[1]?.answer(new Response(null, { status: 204 }));
  await second;
});

Deno.test("LeaseFetch.fetch() frees no permit for a call that is aborted while it waits for one", async () => {
  const { calls, sent } = calling({ callsPerLease: 1 });
  const own = new AbortController();
  const first = calls.fetch(URL_OF_X);
  const second = calls.fetch(URL_OF_X);
  const third = calls.fetch(URL_OF_X, { signal: own.signal });
  own.abort(new Error("enough"));
  await assertRejects(() => third, Error, "enough");
  await settle();
  assertEquals(sent.length, 1);
  sent[0]?.answer(new Response(null, { status: 204 }));
  await first;
  await settle();
  assertEquals(sent.length, 2);
  sent[1]?.answer(new Response(null, { status: 204 }));
  await second;
});

Deno.test("LeaseFetch.fetch() sends waiting calls in the order of their arrival", async () => {
  const { calls, sent } = calling({ callsPerLease: 1 });
  const order: number[] = [];
  const all = [0, 1, 2, 3].map((n) => calls.fetch(URL_OF_X, { headers: { "x-n": `${n}` } }));
  for (let n = 0; n < 4; n++) {
    await settle();
    order.push(Number(sent.at(-1)?.headers.get("x-n")));
    assertEquals(sent.length, n + 1);
    sent.at(-1)?.answer(new Response(null, { status: 204 }));
    await all[n];
  }
  assertEquals(order, [0, 1, 2, 3]);
});

Deno.test("LeaseFetch.fetch() sends the holder's own authorization on an admin's lease only", async () => {
  const sentWith = async (credentials: Credentials) => {
    const { calls, sent } = calling({ credentials });
    const headers = { authorization: "Bearer own", apikey: "own", "x-own": "1" };
    calls.fetch(URL_OF_X, { headers }).catch(() => {});
    await settle();
    calls.end();
    const [call] = sent;
    return [call?.headers.get("apikey"), call?.headers.get("authorization"), call?.headers.get("x-own")];
  };
  const bearer = "Bearer user";
  assertEquals(await sentWith(ANONYMOUS), ["key", null, "1"]);
  assertEquals(await sentWith({ ...ANONYMOUS, authorization: bearer }), ["key", bearer, "1"]);
  assertEquals(await sentWith({ ...ANONYMOUS, mayOverride: true }), ["key", "Bearer own", "1"]);
  assertEquals(await sentWith({ ...ANONYMOUS, authorization: bearer, mayOverride: true }), ["key", "Bearer own", "1"]);
});

Deno.test("LeaseFetch.failure() finds the last eight failures only", async () => {
  const { calls } = calling({ fetch: (input) => Promise.reject(new TypeError(String(input))) });
  const text = (n: number) => `TypeError: ${BASE}/${n}`;
  for (let n = 0; n < 20; n++) await assertRejects(() => calls.fetch(`${BASE}/${n}`), TypeError);
  assert(calls.failure(text(19)));
  assert(calls.failure(text(12)));
  assertEquals(calls.failure(text(11)), undefined);
});

Deno.test("LeaseFetch.failure() compares the message alone for errors of auth-js only", async () => {
  const reset = new TypeError("connection reset");
  const { calls } = calling({ fetch: () => Promise.reject(reset) });
  await assertRejects(() => calls.fetch(URL_OF_X), TypeError);
  const named = (name: string, message: string) => Object.assign(new Error(message), { name });
  assertStrictEquals(calls.failure(reset), reset);
  assertStrictEquals(calls.failure({ message: "TypeError: connection reset" }), reset);
  assertStrictEquals(calls.failure(named("AuthRetryableFetchError", "connection reset")), reset);
  assertEquals(calls.failure(named("StorageUnknownError", "connection reset")), undefined);
  assertEquals(calls.failure(named("AuthRetryableFetchError", "something else")), undefined);
  assertEquals(calls.failure("connection reset"), undefined);
});

Deno.test("LeaseFetch.rejection() returns the latest of the last eight failed responses with a status", async () => {
  let status = 200;
  const { calls } = calling({
    fetch: () => Promise.resolve(new Response("{}", { status, headers: { "retry-after": `${status - 400}` } })),
  });
  const respond = async (next: number) => {
    status = next;
    await (await calls.fetch(URL_OF_X, { method: "POST" })).text();
  };
  assertEquals(calls.rejection(200), undefined);
  await respond(200);
  for (let next = 401; next <= 409; next++) await respond(next);
  assertEquals([calls.rejection(200), calls.rejection(401)], [undefined, undefined]);
  assertEquals(calls.rejection(402)?.retryAfterMs, 2_000);
  const earlier = calls.rejection(409);
  await respond(409);
  assertEquals([calls.rejection(402), calls.rejection(403)?.status], [undefined, 403]);
  assert(earlier && calls.rejection(409) && earlier !== calls.rejection(409));
});

Deno.test("LeaseFetch.failure() finds the cause of a broken body", async () => {
  const { calls, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const reset = new TypeError("connection reset");
  sent[0]?.answer(new Response(new ReadableStream({ pull: (controller) => controller.error(reset) })));
  await assertRejects(async () => await (await call).text(), TypeError);
  assertStrictEquals(calls.failure("TypeError: connection reset"), reset);
});
