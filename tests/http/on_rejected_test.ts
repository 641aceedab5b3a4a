/** Tests the option `onRejected`. */
import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import type { Rejection } from "../support/http.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import { underWay } from "../../shared/http/request/unhandled_rejections.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";
import { ok, setUp } from "./fake_handler.ts";

Deno.test("withPooledSupabase({ onRejected }) responds to rejected credentials in the function's own shape", async () => {
  const seen: Rejection[] = [];
  const { send } = setUp(ok, {
    auth: "user",
    onRejected: (rejection) => {
      seen.push(rejection);
      return Response.json({ error: "Unauthorized" }, { status: 401 });
    },
  });
  const response = await send({ headers: { authorization: "Bearer not.a.token" } });
  assertEquals([response.status, await response.json()], [401, { error: "Unauthorized" }]);
  assert(response.headers.has("Access-Control-Allow-Origin"));
  assert(response.headers.has("X-Pool-Total-Connections"));
  assertFalse(response.headers.has("x-supabase-server-error"));
  assertEquals(seen.map(({ status, code }) => [status, code]), [[401, "INVALID_JWT"]]);
  assertFalse(JSON.stringify(seen).includes("not.a.token"));
});

Deno.test("withPooledSupabase({ onRejected }) is 500 if the option throws or returns no response", async () => {
  for (
    const onRejected of [() => {
      throw new Error("no");
    }, () => undefined as unknown as Response]
  ) {
    const { send, log } = setUp(ok, { auth: "user", onRejected });
    assertEquals((await send({ headers: { authorization: "Bearer not.a.token" } })).status, 500);
    assertEquals(log.length, 1);
  }
});

Deno.test("withPooledSupabase({ onRejected }) may throw its response, as a handler may", async () => {
  const { send, log } = setUp(ok, {
    auth: "user",
    onRejected: () => {
      throw new Response("sign in", { status: 401 });
    },
  });
  const response = await send();
  assertEquals([response.status, await response.text(), log.length], [401, "sign in", 0]);
});

Deno.test("withPooledSupabase({ onRejected }) is 500 for a response that no server can send", async () => {
  const shared = new Response("once", { status: 401 });
  for (const unsendable of [Response.error(), shared]) {
    if (unsendable === shared) await shared.text();
    const { send, log } = setUp(ok, { auth: "user", onRejected: () => unsendable });
    assertEquals((await send()).status, 500);
    assertStringIncludes(log.join(), "Cannot send the Response of onRejected");
  }
});

Deno.test("withPooledSupabase({ onRejected }) has until the request's deadline, and ends the request", async () => {
  const log: string[] = [];
  const clock = new FakeClock();
  const called = Promise.withResolvers<void>();
  const handle = createRequestHandler<unknown>({
    auth: "user",
    variables: VARIABLES,
    service: new FakePools(),
    deadlineMs: 1_000,
    log: (line) => log.push(line),
    onRejected: () => {
      called.resolve();
      return new Promise(() => {});
    },
  }, clock);
  const response = handle(new Request("https://x.test/f"), ok);
  await called.promise;
  await clock.advance(1_000);
  const { status, headers } = await response;
  assertEquals([status, headers.has("Access-Control-Allow-Origin")], [504, true]);
  assertStringIncludes(log.join(), "DEADLINE_EXCEEDED");
  assertEquals([underWay.size, clock.timers], [0, 0]);
});

Deno.test("withPooledSupabase({ onRejected }) stops waiting when the caller disconnects", async () => {
  const caller = new AbortController();
  const { send, log } = setUp(ok, {
    auth: "user",
    onRejected: () => {
      caller.abort();
      return new Promise(() => {});
    },
  });
  assertEquals([(await send({ signal: caller.signal })).status, log], [499, []]);
});
