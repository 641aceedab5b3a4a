import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { AcquireTimeoutError, LeaseReleasedError, LeaseRevokedError } from "../../../shared/pool/mod.ts";
import { transportFailure } from "../../../shared/supabase/mod.ts";
import { userToken } from "../../support/fake_project.ts";
import { createRig, fetchOf, SECRET } from "../support.ts";

const soon = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("CallerScope.client() takes a slot at its first call, and close() releases it", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope({ identity: { token: userToken("alice") } });
  const client = scope.client();
  assertEquals(rig.pool.getStats().totalAcquired, 0);
  await Promise.all([client.from("a").select(), client.from("b").select()]);
  assertEquals(rig.pool.getStats().totalAcquired, 1);
  assertEquals(rig.pool.getStats().activeConnections, 1);
  await scope.close().drained;
  await scope.close().drained;
  assertEquals(rig.pool.getStats().activeConnections, 0);
  assertInstanceOf(transportFailure(client, (await client.from("a").select()).error), LeaseReleasedError);
});

Deno.test("CallerScope.client() takes no slot without a call", async () => {
  await using rig = createRig();
  await rig.pool.scope().close().drained;
  assertEquals(rig.pool.getStats().totalAcquired, 0);
});

Deno.test("CallerScope.close() waits for bodies that are being read", async () => {
  await using rig = createRig({ maxConnections: 1 });
  rig.project.answer = () => new Response("0123456789");
  const scope = rig.pool.scope();
  const client = scope.client();
  const { fetch: bound } = client as unknown as { fetch: typeof fetch };
  const response = await bound(`${rig.project.url}/storage/v1/object/file`);
  const ended = scope.close().drained;
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(rig.pool.getStats().activeConnections, 1);
  assertEquals(await response.text(), "0123456789");
  await ended;
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.client() fails with an acquire timeout, and a later call may succeed", async () => {
  await using rig = createRig({ maxConnections: 1, acquireTimeoutMs: 20 });
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  const { error } = await client.from("a").select();
  const failure = transportFailure(client, error);
  assert(failure instanceof AcquireTimeoutError);
  holder.release();
  assertEquals((await client.from("a").select()).error, null);
  await scope.close().drained;
});

Deno.test("CallerScope.abort() ends the wait of a client's call at once", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  scope.abort(new Error("gone"));
  assert((await call).error);
  await scope.close().drained;
  assertEquals(rig.pool.getStats().waitingForConnection, 0);
  holder.release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.abort() aborts the calls that close() waits for", async () => {
  await using rig = createRig({ maxConnections: 1 });
  rig.project.answer = () => new Promise(() => {});
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (rig.project.requests.length === 0) await soon();
  const ended = scope.close().drained;
  const reason = new Error("gone");
  scope.abort(reason);
  assertEquals(transportFailure(client, (await call).error), reason);
  await ended;
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.close() ends at the deadline of a shutdown, which revokes the calls", async () => {
  await using rig = createRig({ maxConnections: 1 });
  rig.project.answer = () => new Promise(() => {});
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (rig.project.requests.length === 0) await soon();
  const ended = scope.close().drained;
  await rig.pool.shutdown(10);
  assertInstanceOf(transportFailure(client, (await call).error), LeaseRevokedError);
  await ended;
});

Deno.test("CallerScope.client() rejects calls after a shutdown has revoked the slot", async () => {
  await using rig = createRig();
  const scope = rig.pool.scope();
  const client = scope.client();
  await client.from("a").select();
  await rig.pool.shutdown(0);
  assertInstanceOf(transportFailure(client, (await client.from("a").select()).error), LeaseRevokedError);
  await scope.close().drained;
});

Deno.test("CallerScope.client() does not use a slot that a shutdown revoked between two calls", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await soon();
  holder.release(); // granted now; the waiter continues after this turn only
  const shut = rig.pool.shutdown(0);
  assertInstanceOf(transportFailure(client, (await call).error), LeaseRevokedError);
  await shut;
  await scope.close().drained;
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("CallerScope.close() does not wait for the unread error of functions.invoke()", async () => {
  await using rig = createRig({ maxConnections: 1 });
  rig.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const scope = rig.pool.scope();
  const client = scope.client();
  assert((await client.functions.invoke("x")).error);
  const start = performance.now();
  await scope.close().drained;
  assert(performance.now() - start < 5_000);
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.client() leaves the error of functions.invoke() readable until close()", async () => {
  await using rig = createRig();
  rig.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const scope = rig.pool.scope();
  const client = scope.client();
  const { error } = await client.functions.invoke("x");
  assertEquals(await error.context.json(), { message: "no" });
  await scope.close().drained;
});

Deno.test("CallerScope.close() frees the slot once a response that was passed on has been sent", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const length = 500_000;
  rig.project.answer = () => new Response("x".repeat(length), { status: 201, headers: { "x-from": "project" } });
  const ends: Promise<void>[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    const scope = rig.pool.scope();
    const client = scope.client();
    const response = await fetchOf(client)(`${rig.project.url}/x`);
    ends.push(scope.close().drained ?? Promise.resolve());
    return response;
  });
  const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  assertEquals([answer.status, answer.headers.get("x-from"), (await answer.text()).length], [201, "project", length]);
  await Promise.all(ends);
  assertEquals(rig.pool.getStats().activeConnections, 0);
  await server.shutdown();
});

Deno.test("CallerScope.client() returns the downloads and streams of storage", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Response("file", { headers: { "content-type": "text/plain" } });
  const scope = rig.pool.scope();
  const client = scope.client();
  const files = client.storage.from("files");
  assertEquals(await (await files.download("a")).data?.text(), "file");
  const { data } = await files.download("a").asStream();
  assertEquals(await new Response(data).text(), "file");
  assertEquals((await client.functions.invoke("x")).data, "file");
  await scope.close().drained;
});

Deno.test("CallerScope.close() completes unawaited calls whose client is still being loaded, and rejects later ones", async () => {
  await using rig = createRig({ maxConnections: 1 }, SECRET);
  rig.project.answer = () => Response.json({});
  const scope = rig.pool.scope();
  const client = scope.client();
  const { auth, functions } = client;
  const calls = [
    functions.invoke("report"),
    auth.admin.getUserById("6f2c9e0a-0000-4000-8000-000000000000"),
  ];
  await scope.close().drained;
  assertEquals(rig.project.requests.map(({ path }) => path).toSorted(), [
    "/auth/v1/admin/users/6f2c9e0a-0000-4000-8000-000000000000",
    "/functions/v1/report",
  ]);
  for (const { error } of await Promise.all(calls)) assertEquals(error, null);
  assert((await functions.invoke("report")).error);
  assert((await auth.admin.listUsers()).error);
  assertEquals(rig.project.requests.length, 2);
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.abort() ends a call whose client is still being loaded", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const client = scope.client();
  const call = client.functions.invoke("report");
  const end = scope.close().drained;
  scope.abort(new Error("gone"));
  const { error } = await call;
  assert(error);
  await end;
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("CallerScope.client() leaves the queue when the scope's signal aborts", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const caller = new AbortController();
  const scope = rig.pool.scope({ signal: caller.signal });
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await soon();
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  caller.abort(new Error("gone"));
  assert((await call).error);
  assertEquals(rig.pool.getStats().waitingForConnection, 0);
  holder.release();
  await scope.close().drained;
});

Deno.test("CallerScope.client() aborts its calls when the scope's signal aborts", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Promise(() => {});
  const caller = new AbortController();
  const scope = rig.pool.scope({ signal: caller.signal });
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (rig.project.requests.length === 0) await soon();
  caller.abort(new Error("gone"));
  assertEquals((await call).error?.message, "Error: gone");
  await scope.close().drained;
});

Deno.test("CallerScope.signal aborts with abort(), before or after it is read", async () => {
  await using rig = createRig();
  const [before, after] = [new Error("before"), new Error("after")];
  const scope = rig.pool.scope();
  const { signal } = scope;
  assertEquals(scope.signal === signal, true);
  assertEquals(signal.aborted, false);
  scope.abort(after);
  assertEquals([signal.aborted, signal.reason], [true, after]);
  const other = rig.pool.scope();
  other.abort(before);
  assertEquals([other.signal.aborted, other.signal.reason], [true, before]);
  const closed = rig.pool.scope();
  await closed.close().drained;
  assertEquals(closed.signal.aborted, false);
});

Deno.test("CallerScope.close() leaves the queue of a call that was aborted", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  const own = new AbortController();
  const call = client.from("a").select().abortSignal(own.signal).then((result) => result);
  await soon();
  own.abort();
  assert((await call).error);
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  const ended = scope.close().drained;
  await soon();
  assertEquals(rig.pool.getStats().waitingForConnection, 0);
  await ended;
  holder.release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.waitedMs is the time that the scope has waited for its slot", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const scope = rig.pool.scope();
  const client = scope.client();
  assertEquals(scope.waitedMs, 0);
  const call = client.from("a").select().then((result) => result);
  await soon(20);
  holder.release();
  await call;
  const { waitedMs } = scope;
  assert(waitedMs >= 15 && waitedMs < 5_000, `${waitedMs} ms`);
  await client.from("a").select();
  assertEquals(scope.waitedMs, waitedMs);
  await scope.close().drained;
});
