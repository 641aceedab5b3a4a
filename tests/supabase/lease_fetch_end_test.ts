import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { UNREAD_GRACE_MS } from "../../shared/supabase/calls/call.ts";
import { settle } from "../support/fake_clock.ts";
import { calling, settled, URL_OF_X } from "./call_rig.ts";

Deno.test("an answer read while the lease finishes leaves no timer", async () => {
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

Deno.test("finish waits for the calls under way and their bodies, and refuses others meanwhile", async () => {
  const { calls, sent } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const finished = calls.finish();
  assertThrows(() => calls.check(), LeaseReleasedError);
  await assertRejects(() => calls.fetch(URL_OF_X), LeaseReleasedError);
  sent[0]?.answer(new Response("x"));
  const response = await call;
  assertEquals(await settled(finished), false);
  assertEquals(await response.text(), "x");
  await finished;
});

Deno.test("finish can be cut short", async () => {
  const { calls, clock } = calling();
  const call = calls.fetch(URL_OF_X);
  await settle();
  const finished = calls.finish();
  assertThrows(() => calls.check(), LeaseReleasedError);
  const reason = new Error("gone");
  calls.end(reason);
  assertStrictEquals(await call.catch((error) => error), reason);
  await finished;
  assertEquals(clock.timers, 0);
});

Deno.test("the first end decides why", async () => {
  const { calls } = calling();
  calls.end(new Error("first"));
  calls.end(new Error("second"));
  await assertRejects(() => calls.fetch(URL_OF_X), Error, "first");
});

Deno.test("an answer that nobody begins to read is given up soon after the lease was finished", async () => {
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

Deno.test("an answer that comes after finish and is never read is given up as well", async () => {
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

Deno.test("an answer whose body somebody has taken is waited for", async () => {
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

Deno.test("an answer that somebody begins to read within the grace is waited for", async () => {
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

Deno.test("a lease that is cut while an answer lies unread leaves no timer", async () => {
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
