/** Tests the limit of concurrent calls of a lease. */
import { assertEquals } from "@std/assert";
import { UNREAD_GRACE_MS } from "../../../shared/supabase/calls/call.ts";
import { settle } from "../../support/fake_clock.ts";
import { calling, URL_OF_X } from "../lease_fetch_rig.ts";

Deno.test("CallLimiter takes the permit of an unread response after UNREAD_GRACE_MS, and the response stays readable", async () => {
  const { calls, clock, sent } = calling({ callsPerLease: 1, requestTimeoutMs: 10_000 });
  const dropped = calls.fetch(URL_OF_X);
  await settle();
  const next = calls.fetch(URL_OF_X);
  const third = calls.fetch(URL_OF_X);
  sent[0]?.answer(new Response("late"));
  const response = await dropped;
  await clock.advance(UNREAD_GRACE_MS - 1);
  assertEquals(sent.length, 1);
  await clock.advance(1);
  assertEquals(sent.length, 2);
  sent[1]?.answer(new Response("b"));
  await next;
  await clock.advance(UNREAD_GRACE_MS);
  assertEquals(sent.length, 3);
  sent[2]?.answer(new Response("c"));
  assertEquals(await Promise.all([response.text(), (await third).text()]), ["late", "c"]);
  calls.end();
  assertEquals(clock.timers, 0);
});

Deno.test("CallLimiter keeps the permit of a response that is being read", async () => {
  const { calls, clock, sent } = calling({ callsPerLease: 1, requestTimeoutMs: 10_000 });
  const slow = calls.fetch(URL_OF_X);
  await settle();
  const next = calls.fetch(URL_OF_X);
  const end = Promise.withResolvers<void>();
  sent[0]?.answer(new Response(new ReadableStream({ pull: (c) => end.promise.then(() => c.close()) })));
  const text = (await slow).text();
  await clock.advance(UNREAD_GRACE_MS * 50);
  assertEquals(sent.length, 1);
  end.resolve();
  await text;
  await settle();
  assertEquals(sent.length, 2);
  calls.end();
  await next.catch(() => {});
});

Deno.test("LeaseFetch.fetch() starts requestTimeoutMs when the call is sent, not while it waits for a permit or a slot", async () => {
  const slot = Promise.withResolvers<void>();
  const { calls, clock, sent } = calling({ callsPerLease: 1, requestTimeoutMs: 1_000, take: () => slot.promise });
  const first = calls.fetch(URL_OF_X);
  await settle();
  await clock.advance(5_000);
  slot.resolve();
  await settle();
  const second = calls.fetch(URL_OF_X);
  await clock.advance(900);
  sent[0]?.answer(new Response("a"));
  assertEquals(await (await first).text(), "a");
  await settle();
  await clock.advance(900);
  sent[1]?.answer(new Response("b"));
  assertEquals(await (await second).text(), "b");
});
