/** Tests the slot of a scope whose request has been answered: it is held during calls only. */
import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { LeaseReleasedError } from "../../../shared/pool/mod.ts";
import { RequestTimeoutError } from "../../../shared/supabase/mod.ts";
import { UNREAD_GRACE_MS } from "../../../shared/supabase/calls/call.ts";
import { settle } from "../../support/fake_clock.ts";
import { calling, URL_OF_X } from "../lease_fetch_rig.ts";
import { createRig, fetchOf } from "../support.ts";
import { until } from "../../support/until.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A response whose chunks a test sends. */
function flowing(): { response: Response; send: (text: string) => void; end: () => void; canceled: unknown[] } {
  let controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  const canceled: unknown[] = [];
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (given) => void (controller = given),
    cancel: (reason) => void canceled.push(reason),
  });
  return {
    response: new Response(body),
    send: (text) => controller?.enqueue(bytes(text)),
    end: () => controller?.close(),
    canceled,
  };
}

Deno.test("CallerScope.releaseBetweenCalls() holds the slot during calls only, for clients of before and after", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const active = () => rig.pool.getStats().activeConnections;
  const seen: number[] = [];
  rig.project.answer = () => {
    seen.push(active());
    return Response.json([]);
  };
  const scope = rig.pool.scope();
  const before = scope.client();
  await before.from("a").select();
  assertEquals(active(), 1);
  scope.releaseBetweenCalls();
  assertEquals(active(), 0);
  const after = scope.client();
  for (const client of [before, after]) {
    await Promise.all([client.from("a").select(), client.from("b").select()]);
    assertEquals(active(), 0);
  }
  await using lease = await scope.lease();
  assertEquals(active(), 1);
  await lease.client.from("a").select();
  assertEquals([seen, scope.close().unreleased, active()], [[1, 1, 1, 1, 1, 1], 1, 0]);
});

Deno.test("CallerScope.releaseBetweenCalls() holds the slot for calls under way and those that wait for it", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const go = Promise.withResolvers<void>();
  rig.project.answer = () => go.promise.then(() => Response.json([]));
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  scope.releaseBetweenCalls();
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  holder.release();
  await until("the request arrives", () => rig.project.requests.length > 0);
  assertEquals(rig.pool.getStats().activeConnections, 1);
  go.resolve();
  assertEquals((await call).error, null);
  assertEquals(rig.pool.getStats().activeConnections, 0);
  await scope.close().drained;
});

for (const when of ["releaseBetweenCalls", "close"] as const) {
  Deno.test(`CallerScope.${when}() frees the slot of a body whose reader stops, and the body flows on`, async () => {
    await using rig = createRig({ maxConnections: 1 });
    const { response, send, end } = flowing();
    rig.project.answer = () => response;
    const scope = rig.pool.scope();
    const passed = await fetchOf(scope.client())(`${rig.project.url}/storage/v1/object/big`);
    const reader = passed.body?.getReader();
    const closed = when === "close" ? scope.close().drained : scope[when]();
    send("one");
    assertEquals((await reader?.read())?.value, bytes("one"));
    assertEquals(rig.pool.getStats().activeConnections, 1);
    await until("the lease ends", () => rig.pool.getStats().activeConnections === 0);
    // Another caller uses the slot meanwhile.
    await using _other = await rig.pool.lease();
    send("two");
    assertEquals((await reader?.read())?.value, bytes("two"));
    end();
    assertEquals((await reader?.read())?.done, true);
    await (closed ?? scope.close().drained);
    assertEquals(rig.pool.getStats().activeConnections, 1);
  });
}

Deno.test("CallerScope keeps the slot of a reader that asks for more, however long the project is silent", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const { response, send, end } = flowing();
  rig.project.answer = () => response;
  const scope = rig.pool.scope();
  const passed = await fetchOf(scope.client())(`${rig.project.url}/storage/v1/object/big`);
  const text = passed.text();
  const { drained } = scope.close();
  await new Promise((resolve) => setTimeout(resolve, 2 * UNREAD_GRACE_MS));
  assertEquals(rig.pool.getStats().activeConnections, 1);
  send("late");
  end();
  assertEquals(await text, "late");
  await drained;
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("requestTimeoutMs is the longest silence of a body that is read as a stream, in any way to read it", async (t) => {
  const ways: Record<string, (response: Response) => Promise<unknown>> = {
    "stream": async (response) => await new Response(response.body).text(),
    "text": (response) => response.text(),
    "blob": async (response) => await (await response.blob()).text(),
    "clone": async (response) => {
      const copy = response.clone();
      return (await Promise.all([response.text(), copy.text()]))[0];
    },
  };
  for (const [way, read] of Object.entries(ways)) {
    await t.step(way, async () => {
      const { calls, clock, sent } = calling({ requestTimeoutMs: 1_000 });
      const { response, send, end } = flowing();
      const call = calls.fetch(URL_OF_X);
      await settle();
      sent[0]?.answer(response);
      const text = read(await call);
      for (let n = 0; n < 5; n++) {
        await clock.advance(900);
        send("x");
        await settle();
      }
      end();
      assertEquals(await text, "xxxxx");
      assertEquals(clock.timers, 0);
    });
  }
});

Deno.test("requestTimeoutMs aborts a body without progress: the project is silent, or the reader has stopped", async (t) => {
  await t.step("project", async () => {
    const { calls, clock, sent } = calling({ requestTimeoutMs: 1_000 });
    const { response, send, canceled } = flowing();
    const call = calls.fetch(URL_OF_X);
    await settle();
    sent[0]?.answer(response);
    const text = (await call).text();
    send("x");
    await settle();
    await clock.advance(999);
    assertEquals(canceled.length, 0);
    await clock.advance(1);
    const error = await assertRejects(() => text, RequestTimeoutError);
    assertStringIncludes(error.message, "made no progress for 1000 ms");
    assertEquals([canceled.length, clock.timers], [1, 0]);
  });
  await t.step("reader", async () => {
    const { calls, clock, sent } = calling({ requestTimeoutMs: 1_000 });
    const { response, send, canceled } = flowing();
    const call = calls.fetch(URL_OF_X);
    await settle();
    sent[0]?.answer(response);
    const reader = (await call).body?.getReader();
    send("x");
    assertEquals((await reader?.read())?.value, bytes("x"));
    await clock.advance(1_000);
    await assertRejects(async () => await reader?.read(), RequestTimeoutError);
    assertEquals([canceled.length, clock.timers], [1, 0]);
  });
});

Deno.test("CallerScope calls onRefused for leases and calls that come too late", async () => {
  await using rig = createRig();
  const refused: unknown[] = [];
  const scope = rig.pool.scope({ onRefused: (reason) => void refused.push(reason) });
  const client = scope.client();
  await client.from("a").select();
  await scope.close().drained;
  assertEquals(refused, []);
  assertStringIncludes((await client.from("a").select()).error?.message ?? "", "LeaseReleasedError");
  await assertRejects(() => scope.lease(), LeaseReleasedError);
  assertEquals(refused.length, 2);
  for (const reason of refused) assertInstanceOf(reason, LeaseReleasedError);
});

Deno.test("CallLimiter takes the permit of a stalled body that another call waits for", async () => {
  const { calls, clock, sent } = calling({ callsPerLease: 1 });
  const { response, send } = flowing();
  const call = calls.fetch(URL_OF_X);
  await settle();
  sent[0]?.answer(response);
  const reader = (await call).body?.getReader();
  send("x");
  await reader?.read();
  const next = calls.fetch(URL_OF_X);
  await settle();
  assertEquals(sent.length, 1);
  await clock.advance(UNREAD_GRACE_MS);
  assertEquals(sent.length, 2);
  sent[1]?.answer(new Response("y"));
  assertEquals(await (await next).text(), "y");
  calls.end();
});
