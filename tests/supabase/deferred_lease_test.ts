import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { AcquireTimeoutError, LeaseReleasedError, LeaseRevokedError } from "../../shared/pool/mod.ts";
import { transportFailure } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { fetchOf, rig, SECRET } from "./support.ts";

const soon = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a deferred client takes no place until its first call, and gives it back at its end", async () => {
  await using made = rig({ maxConnections: 1 });
  const deferred = made.pool.defer({ identity: { token: userToken("alice") } });
  assertEquals(made.pool.getStats().totalAcquired, 0);
  await Promise.all([deferred.client.from("a").select(), deferred.client.from("b").select()]);
  assertEquals(made.pool.getStats().totalAcquired, 1);
  assertEquals(made.pool.getStats().activeConnections, 1);
  await deferred.end();
  await deferred.end();
  assertEquals(made.pool.getStats().activeConnections, 0);
  assertThrows(() => deferred.client.from("a"), LeaseReleasedError);
});

Deno.test("a deferred client that is never used takes no place", async () => {
  await using made = rig();
  await made.pool.defer().end();
  assertEquals(made.pool.getStats().totalAcquired, 0);
});

Deno.test("a deferred client's end waits for bodies that are still read", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Response("0123456789");
  const deferred = made.pool.defer();
  const { fetch: bound } = deferred.client as unknown as { fetch: typeof fetch };
  const response = await bound(`${made.project.url}/storage/v1/object/file`);
  const ended = deferred.end();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(made.pool.getStats().activeConnections, 1);
  assertEquals(await response.text(), "0123456789");
  await ended;
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client fails as a lease does when no place comes free, and may try again", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 20 });
  const holder = await made.pool.lease();
  const deferred = made.pool.defer();
  const { error } = await deferred.client.from("a").select();
  const failure = transportFailure(deferred.client, error);
  assert(failure instanceof AcquireTimeoutError);
  holder.release();
  assertEquals((await deferred.client.from("a").select()).error, null);
  await deferred.end();
});

Deno.test("an aborted deferred client stops waiting and frees its place at once", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const deferred = made.pool.defer();
  const call = deferred.client.from("a").select().then((result) => result);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  deferred.abort(new Error("gone"));
  assert((await call).error);
  await deferred.end();
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  holder.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client that is ending can still be aborted", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const deferred = made.pool.defer();
  const call = deferred.client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  const ended = deferred.end();
  const gone = new Error("gone");
  deferred.abort(gone);
  assertEquals(transportFailure(deferred.client, (await call).error), gone);
  await ended;
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a shutdown's deadline cuts the calls of a deferred client that is ending", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const deferred = made.pool.defer();
  const call = deferred.client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  const ended = deferred.end();
  await made.pool.shutdown(10);
  assertInstanceOf(transportFailure(deferred.client, (await call).error), LeaseRevokedError);
  await ended;
});

Deno.test("a shutdown that takes the place back refuses the calls that come after", async () => {
  await using made = rig();
  const deferred = made.pool.defer();
  await deferred.client.from("a").select();
  await made.pool.shutdown(0);
  assertThrows(() => deferred.client.from("a"), LeaseRevokedError);
  await deferred.end();
});

Deno.test("a place that a shutdown took back between two calls is not used", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const deferred = made.pool.defer();
  const call = deferred.client.from("a").select().then((result) => result);
  await soon();
  holder.release(); // granted now; its holder goes on only after this turn
  const shut = made.pool.shutdown(0);
  assertInstanceOf(transportFailure(deferred.client, (await call).error), LeaseRevokedError);
  await shut;
  await deferred.end();
  assertEquals(made.project.requests.length, 0);
});

Deno.test("the error that functions.invoke leaves unread holds no place", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const deferred = made.pool.defer();
  assert((await deferred.client.functions.invoke("x")).error);
  const start = performance.now();
  await deferred.end();
  assert(performance.now() - start < 5_000);
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("the error of functions.invoke can be read before the end", async () => {
  await using made = rig();
  made.project.answer = () => Response.json({ message: "no" }, { status: 400 });
  const deferred = made.pool.defer();
  const { error } = await deferred.client.functions.invoke("x");
  assertEquals(await error.context.json(), { message: "no" });
  await deferred.end();
});

Deno.test("an answer passed on as it is reaches the caller, and frees the place when it has been sent", async () => {
  await using made = rig({ maxConnections: 1 });
  const length = 500_000;
  made.project.answer = () => new Response("x".repeat(length), { status: 201, headers: { "x-from": "project" } });
  const ends: Promise<void>[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    const deferred = made.pool.defer();
    const response = await fetchOf(deferred.client)(`${made.project.url}/x`);
    ends.push(deferred.end());
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
  const deferred = made.pool.defer();
  const files = deferred.client.storage.from("files");
  assertEquals(await (await files.download("a")).data?.text(), "file");
  const { data } = await files.download("a").asStream();
  assertEquals(await new Response(data).text(), "file");
  assertEquals((await deferred.client.functions.invoke("x")).data, "file");
  await deferred.end();
});

Deno.test("calls whose client is still to be loaded, begun and not awaited, are carried through; later ones are not", async () => {
  await using made = rig({ maxConnections: 1 }, SECRET);
  made.project.answer = () => Response.json({});
  const deferred = made.pool.defer();
  const { auth, functions } = deferred.client;
  const calls = [
    functions.invoke("report"),
    auth.admin.getUserById("6f2c9e0a-0000-4000-8000-000000000000"),
  ];
  await deferred.end();
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
  const deferred = made.pool.defer();
  const call = deferred.client.functions.invoke("report");
  const end = deferred.end();
  deferred.abort();
  const { error } = await call;
  assert(error);
  await end;
  assertEquals(made.project.requests.length, 0);
});

Deno.test("the caller's signal ends the wait of a deferred client, which leaves the queue", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const caller = new AbortController();
  const deferred = made.pool.defer({ signal: caller.signal });
  const call = deferred.client.from("a").select().then((result) => result);
  await soon();
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  caller.abort(new Error("gone"));
  assert((await call).error);
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  holder.release();
  await deferred.end();
});

Deno.test("the caller's signal ends the calls of a deferred client", async () => {
  await using made = rig();
  made.project.answer = () => new Promise(() => {});
  const caller = new AbortController();
  const deferred = made.pool.defer({ signal: caller.signal });
  const call = deferred.client.from("a").select().then((result) => result);
  while (made.project.requests.length === 0) await soon();
  caller.abort(new Error("gone"));
  assertEquals((await call).error?.message, "Error: gone");
  await deferred.end();
});

Deno.test("the end of a deferred client whose call gave up leaves the queue", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const deferred = made.pool.defer();
  const own = new AbortController();
  const call = deferred.client.from("a").select().abortSignal(own.signal).then((result) => result);
  await soon();
  own.abort();
  assert((await call).error);
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  const ended = deferred.end();
  await soon();
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  await ended;
  holder.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a deferred client says how long it has waited", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const deferred = made.pool.defer();
  assertEquals(deferred.waitedMs, 0);
  const call = deferred.client.from("a").select().then((result) => result);
  await soon(20);
  holder.release();
  await call;
  const { waitedMs } = deferred;
  assert(waitedMs >= 15 && waitedMs < 5_000, `${waitedMs} ms`);
  await deferred.client.from("a").select();
  assertEquals(deferred.waitedMs, waitedMs);
  await deferred.end();
});
