import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { UNREAD_GRACE_MS } from "../../shared/supabase/calls/call.ts";
import { settle } from "../support/fake_clock.ts";
import { calling, settled, URL_OF_X } from "./lease_fetch_rig.ts";

Deno.test("LeaseFetch.finish() leaves no timer after a response that is read meanwhile", async () => {
  const { calls, clock, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  sent[0]?.answer(new Response("x"));
  const response = await call;
  const finished = calls.finish();
  assertEquals(clock.timers, 2);
  assertEquals(await response.text(), "x");
  await finished;
  assertEquals(clock.timers, 0);
});

Deno.test("LeaseFetch.finish() waits for the calls in flight and their bodies, and rejects new calls", async () => {
  const { calls, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const finished = calls.finish();
  await assertRejects(() => calls.fetch(URL_OF_X), LeaseReleasedError);
  await assertRejects(() => calls.fetch(URL_OF_X), LeaseReleasedError);
  sent[0]?.answer(new Response("x"));
  const response = await call;
  assertEquals(await settled(finished), false);
  assertEquals(await response.text(), "x");
  await finished;
});

Deno.test("LeaseFetch.end() aborts the calls that finish() waits for", async () => {
  const { calls, clock } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const finished = calls.finish();
  await assertRejects(() => calls.fetch(URL_OF_X), LeaseReleasedError);
  const reason = new Error("gone");
  calls.end(reason);
  assertStrictEquals(await call.catch((error) => error), reason);
  await finished;
  assertEquals(clock.timers, 0);
});

Deno.test("LeaseFetch.finish() waits for a client that is being loaded until LeaseFetch.end()", async () => {
  const { calls } = calling();
  const pending = calls.markPending();
  const finished = calls.finish();
  assertEquals(await settled(finished), false);
  calls.end();
  assertEquals(await settled(finished), true);
  pending.settle();
});

Deno.test("LeaseFetch.end() keeps the reason of its first call", async () => {
  const { calls } = calling();
  calls.end(new Error("first"));
  calls.end(new Error("second"));
  await assertRejects(() => calls.fetch(URL_OF_X), Error, "first");
});

Deno.test("LeaseFetch.finish() discards an unread response after UNREAD_GRACE_MS", async () => {
  const { calls, clock, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  let cancelled: unknown;
  sent[0]?.answer(new Response(new ReadableStream({ cancel: (reason) => void (cancelled = reason) })));
  const response = await call;
  await clock.advance(UNREAD_GRACE_MS);
  const finished = calls.finish();
  await clock.advance(UNREAD_GRACE_MS - 1);
  assertEquals(await settled(finished), false);
  await clock.advance(1);
  await finished;
  assertInstanceOf(cancelled, LeaseReleasedError);
  await assertRejects(() => response.text(), LeaseReleasedError);
  assertEquals(clock.timers, 0);
});

Deno.test("LeaseFetch.finish() discards an unread response that arrives later after UNREAD_GRACE_MS", async () => {
  const { calls, clock, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const finished = calls.finish();
  await clock.advance(UNREAD_GRACE_MS * 2);
  sent[0]?.answer(new Response("x"));
  await call;
  assertEquals(await settled(finished), false);
  await clock.advance(UNREAD_GRACE_MS);
  await finished;
});

Deno.test("LeaseFetch.finish() waits for a response whose body was taken", async () => {
  const { calls, clock, sent } = calling({ requestTimeoutMs: 10_000 });
  const call = calls.fetch(URL_OF_X);
  await settle();
  sent[0]?.answer(new Response("x"));
  const { body } = await call;
  const finished = calls.finish();
  await clock.advance(UNREAD_GRACE_MS * 50);
  assertEquals(await settled(finished), false);
  assertEquals(await new Response(body).text(), "x");
  await finished;
});

Deno.test("LeaseFetch.finish() waits for a response whose reading starts within UNREAD_GRACE_MS", async () => {
  const { calls, clock, sent } = calling({ requestTimeoutMs: 10_000 });
  const call = calls.fetch(URL_OF_X);
  await settle();
  const rest = Promise.withResolvers<void>();
  sent[0]?.answer(new Response(new ReadableStream({ pull: (c) => rest.promise.then(() => c.close()) })));
  const response = await call;
  const finished = calls.finish();
  await clock.advance(UNREAD_GRACE_MS - 1);
  const text = response.text();
  await clock.advance(UNREAD_GRACE_MS * 50);
  assertEquals(await settled(finished), false);
  rest.resolve();
  assertEquals(await text, "");
  await finished;
});

Deno.test("LeaseFetch.end() leaves no timer after an unread response", async () => {
  const { calls, clock, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  sent[0]?.answer(new Response("x"));
  await call;
  const finished = calls.finish();
  calls.end();
  await finished;
  assertEquals(clock.timers, 0);
});
