import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { AcquireTimeoutError, LeaseReleasedError, LeaseRevokedError } from "../../../shared/pool/mod.ts";
import { transportFailure } from "../../../shared/supabase/mod.ts";
import { userToken } from "../../support/fake_project.ts";
import { fetchOf, rig, SECRET } from "../support.ts";

const soon = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a deferred client takes no place until its first call, and gives it back at its end", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope({ identity: { token: userToken("alice") } });
  const client = scope.client();
  assertEquals(made.pool.getStats().totalAcquired, 0);
  await Promise.all([client.from("a").select(), client.from("b").select()]);
  assertEquals(made.pool.getStats().totalAcquired, 1);
  assertEquals(made.pool.getStats().activeConnections, 1);
  await scope.close().drained;
  await scope.close().drained;
  assertEquals(made.pool.getStats().activeConnections, 0);
  assertThrows(() => client.from("a"), LeaseReleasedError);
});

Deno.test("a deferred client that is never used takes no place", async () => {
  await using made = rig();
  await made.pool.scope().close().drained;
  assertEquals(made.pool.getStats().totalAcquired, 0);
});

Deno.test("a deferred client's end waits for bodies that are still read", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Response("0123456789");
  const scope = made.pool.scope();
  const client = scope.client();
  const { fetch: bound } = client as unknown as { fetch: typeof fetch };
  const response = await bound(`${made.project.url}/storage/v1/object/file`);
  const ended = scope.close().drained;
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(made.pool.getStats().activeConnections, 1);
  assertEquals(await response.text(), "0123456789");
  await ended;
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client fails as a lease does when no place comes free, and may try again", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 20 });
  const holder = await made.pool.lease();
  const scope = made.pool.scope();
  const client = scope.client();
  const { error } = await client.from("a").select();
  const failure = transportFailure(client, error);
  assert(failure instanceof AcquireTimeoutError);
  holder.release();
  assertEquals((await client.from("a").select()).error, null);
  await scope.close().drained;
});

Deno.test("an aborted deferred client stops waiting and frees its place at once", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const scope = made.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  scope.abort(new Error("gone"));
  assert((await call).error);
  await scope.close().drained;
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  holder.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client that is ending can still be aborted", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const scope = made.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  const ended = scope.close().drained;
  const gone = new Error("gone");
  scope.abort(gone);
  assertEquals(transportFailure(client, (await call).error), gone);
  await ended;
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a shutdown's deadline cuts the calls of a deferred client that is ending", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const scope = made.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  const ended = scope.close().drained;
  await made.pool.shutdown(10);
  assertInstanceOf(transportFailure(client, (await call).error), LeaseRevokedError);
  await ended;
});

Deno.test("a shutdown that takes the place back refuses the calls that come after", async () => {
  await using made = rig();
  const scope = made.pool.scope();
  const client = scope.client();
  await client.from("a").select();
  await made.pool.shutdown(0);
  assertThrows(() => client.from("a"), LeaseRevokedError);
  await scope.close().drained;
});

Deno.test("a place that a shutdown took back between two calls is not used", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const scope = made.pool.scope();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await soon();
  holder.release(); // granted now; its holder goes on only after this turn
  const shut = made.pool.shutdown(0);
  assertInstanceOf(transportFailure(client, (await call).error), LeaseRevokedError);
  await shut;
  await scope.close().drained;
  assertEquals(made.project.requests.length, 0);
});

Deno.test("the error that functions.invoke leaves unread holds no place", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const scope = made.pool.scope();
  const client = scope.client();
  assert((await client.functions.invoke("x")).error);
  const start = performance.now();
  await scope.close().drained;
  assert(performance.now() - start < 5_000);
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("the error of functions.invoke can be read before the end", async () => {
  await using made = rig();
  made.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const scope = made.pool.scope();
  const client = scope.client();
  const { error } = await client.functions.invoke("x");
  assertEquals(await error.context.json(), { message: "no" });
  await scope.close().drained;
});

Deno.test("an answer passed on as it is reaches the caller, and frees the place when it has been sent", async () => {
  await using made = rig({ maxConnections: 1 });
  const length = 500_000;
  made.project.answer = () => new Response("x".repeat(length), { status: 201, headers: { "x-from": "project" } });
  const ends: Promise<void>[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    const scope = made.pool.scope();
    const client = scope.client();
    const response = await fetchOf(client)(`${made.project.url}/x`);
    ends.push(scope.close().drained ?? Promise.resolve());
    return response;
  });
  const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  assertEquals([answer.status, answer.headers.get("x-from"), (await answer.text()).length], [201, "project", length]);
  await Promise.all(ends);
  assertEquals(made.pool.getStats().activeConnections, 0);
  await server.shutdown();
});

Deno.test("storage's downloads and streams come through", async () => {
  await using made = rig();
  made.project.answer = () => new Response("file", { headers: { "content-type": "text/plain" } });
  const scope = made.pool.scope();
  const client = scope.client();
  const files = client.storage.from("files");
  assertEquals(await (await files.download("a")).data?.text(), "file");
  const { data } = await files.download("a").asStream();
  assertEquals(await new Response(data).text(), "file");
  assertEquals((await client.functions.invoke("x")).data, "file");
  await scope.close().drained;
});

Deno.test("calls whose client is still to be loaded, begun and not awaited, are carried through; later ones are not", async () => {
  await using made = rig({ maxConnections: 1 }, SECRET);
  made.project.answer = () => Response.json({});
  const scope = made.pool.scope();
  const client = scope.client();
  const { auth, functions } = client;
  const calls = [
    functions.invoke("report"),
    auth.admin.getUserById("6f2c9e0a-0000-4000-8000-000000000000"),
  ];
  await scope.close().drained;
  assertEquals(made.project.requests.map(({ path }) => path).toSorted(), [
    "/auth/v1/admin/users/6f2c9e0a-0000-4000-8000-000000000000",
    "/functions/v1/report",
  ]);
  for (const { error } of await Promise.all(calls)) assertEquals(error, null);
  assert((await functions.invoke("report")).error);
  assert((await auth.admin.listUsers()).error);
  assertEquals(made.project.requests.length, 2);
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("an aborted lease waits for no client to be loaded", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const client = scope.client();
  const call = client.functions.invoke("report");
  const end = scope.close().drained;
  scope.abort(new Error("gone"));
  const { error } = await call;
  assert(error);
  await end;
  assertEquals(made.project.requests.length, 0);
});

Deno.test("the caller's signal ends the wait of a deferred client, which leaves the queue", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const caller = new AbortController();
  const scope = made.pool.scope({ signal: caller.signal });
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await soon();
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  caller.abort(new Error("gone"));
  assert((await call).error);
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  holder.release();
  await scope.close().drained;
});

Deno.test("the caller's signal ends the calls of a deferred client", async () => {
  await using made = rig();
  made.project.answer = () => new Promise(() => {});
  const caller = new AbortController();
  const scope = made.pool.scope({ signal: caller.signal });
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  caller.abort(new Error("gone"));
  assertEquals((await call).error?.message, "Error: gone");
  await scope.close().drained;
});

Deno.test("the end of a deferred client whose call gave up leaves the queue", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const scope = made.pool.scope();
  const client = scope.client();
  const own = new AbortController();
  const call = client.from("a").select().abortSignal(own.signal).then((result) => result);
  await soon();
  own.abort();
  assert((await call).error);
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  const ended = scope.close().drained;
  await soon();
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  await ended;
  holder.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client says how long it has waited", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const scope = made.pool.scope();
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
