/** One place for all that one request does on a pool. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  DoubleReleaseError,
  LateReleaseError,
  LeaseReleasedError,
  LeaseRevokedError,
} from "../../../shared/pool/mod.ts";
import { IdentityError, transportFailure } from "../../../shared/supabase/mod.ts";
import { userToken } from "../../support/fake_project.ts";
import { rig, SECRET } from "../support.ts";

Deno.test("what is leased while a place is held shares it, and the last one gives it back", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 50 });
  const scope = made.pool.scope();
  const lent = () => made.pool.getStats().activeConnections;
  assertEquals(lent(), 0);
  const outer = await scope.lease();
  const inner = await scope.lease();
  const client = scope.client();
  await Promise.all([outer.client, inner.client, client].map((each) => each.from("a").select()));
  assertEquals([lent(), made.pool.getStats().totalAcquired], [1, 1]);
  outer.release();
  inner.release();
  assertEquals(lent(), 1);
  await scope.close().drained;
  assertEquals(lent(), 0);
  await assertRejects(() => scope.lease(), LeaseReleasedError, "the scope is closed");
  const next = made.pool.scope();
  await (await next.lease())[Symbol.asyncDispose]();
  await (await next.lease())[Symbol.asyncDispose]();
  assertEquals([lent(), made.pool.getStats().totalAcquired], [0, 3]);
});

Deno.test("each lease of a session ends for itself", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const one = await scope.lease();
  const two = await scope.lease();
  one.release();
  await assertRejects(async () => await one.client.from("a").select(), LeaseReleasedError);
  assertEquals((await two.client.from("a").select()).error, null);
  assertThrows(() => one.release(), DoubleReleaseError);
  assertEquals(made.pool.getStats().activeConnections, 1);
  one[Symbol.dispose]();
  two.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a session has callsPerLease calls under way, whatever it leases", async () => {
  await using made = rig({ maxConnections: 10, callsPerLease: 3 });
  made.project.answer = async () => {
    await delay(2);
    return Response.json([]);
  };
  const scope = made.pool.scope();
  const client = scope.client();
  const leases = await Promise.all(Array.from({ length: 5 }, () => scope.lease()));
  const clients = [client, ...leases.map((lease) => lease.client)];
  await Promise.all(Array.from({ length: 30 }, (_, i) => clients[i % clients.length]?.from("a").select()));
  assertEquals([made.project.requests.length, made.project.load.most], [30, 3]);
  for (const lease of leases) lease.release();
  await scope.close().drained;
});

Deno.test("a session acts for its caller, and a lease that is to act for another one is refused", async () => {
  await using made = rig();
  const [alice, bob] = [userToken("alice"), userToken("bob")];
  const scope = made.pool.scope({ identity: { token: alice }, apiKey: "sb_publishable_web" });
  for (const identity of [{ token: bob }, "anonymous", "admin"] as const) {
    await assertRejects(() => scope.lease({ identity }), IdentityError);
  }
  await using lease = await scope.lease({ identity: { token: alice } });
  await lease.client.from("a").select();
  await lease.client.functions.invoke("f");
  await lease.client.storage.from("b").list();
  for (const { apikey, authorization } of made.project.requests) {
    assertEquals([apikey, authorization], ["sb_publishable_web", `Bearer ${alice}`]);
  }
  assertEquals(made.project.requests.length, 3);
});

Deno.test("another key must be of the pool's kind, and shows in no message", async () => {
  await using user = rig();
  await using admin = rig({}, SECRET);
  const refused = [
    assertThrows(() => user.pool.scope({ apiKey: "sb_secret_other" }), IdentityError),
    assertThrows(() => admin.pool.scope({ apiKey: "sb_publishable_other" }), IdentityError),
  ];
  for (const { message } of refused) assert(!message.includes("_other"), message);
  await using lease = await admin.pool.scope({ apiKey: "sb_secret_jobs" }).lease();
  await lease.client.from("a").select();
  assertEquals(admin.project.requests.map(({ apikey }) => apikey), ["sb_secret_jobs"]);
});

Deno.test("an abort ends what waits and what is under way, and frees the place at once", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const gone = new Error("gone");
  const scope = made.pool.scope();
  const lease = await scope.lease();
  const client = scope.client();
  const calls = [lease.client, client].map((each) => each.from("a").select().then((result) => result));
  while (made.project.requests.length < 2) await delay(1);
  scope.abort(gone);
  assertEquals(made.pool.getStats().activeConnections, 0);
  const [one, two] = await Promise.all(calls);
  assertEquals([transportFailure(lease.client, one?.error), transportFailure(client, two?.error)], [
    gone,
    gone,
  ]);
  lease.release(); // it knew nothing of the abort
  assertThrows(() => lease.release(), DoubleReleaseError);
  await scope.close().drained;

  const holder = await made.pool.lease();
  const late = made.pool.scope();
  const waiting = late.lease();
  const behind = late.lease();
  await delay(1);
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  late.abort(gone);
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  for (const wait of [waiting, behind]) await assertRejects(() => wait, AcquireAbortedError);
  holder.release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("the session's signal refuses and ends waits", async () => {
  await using made = rig({ maxConnections: 1 });
  const caller = new AbortController();
  const scope = made.pool.scope({ signal: caller.signal });
  const holder = await made.pool.lease();
  const waiting = scope.lease();
  await delay(1);
  caller.abort(new Error("gone"));
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  assertEquals(((await assertRejects(() => waiting, AcquireAbortedError)).cause as Error).message, "gone");
  await assertRejects(() => scope.lease(), AcquireAbortedError);
  holder.release();
});

Deno.test("who has gone away already is refused, held place or not", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  await using _held = await scope.lease();
  await assertRejects(() => scope.lease({ signal: AbortSignal.abort() }), AcquireAbortedError);
});

Deno.test("of those who wait for a place one may give up, and the others get it", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const holder = await made.pool.lease();
  const own = new AbortController();
  const impatient = scope.lease({ signal: own.signal });
  const patient = scope.lease();
  await delay(1);
  own.abort();
  await assertRejects(() => impatient, AcquireAbortedError);
  assertEquals(made.pool.getStats().waitingForConnection, 1);
  holder.release();
  (await patient).release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("a place that is granted while everybody gives up is lost to nobody", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const holder = await made.pool.lease();
  const waiting = scope.lease();
  await delay(1);
  holder.release(); // granted now; whoever waits goes on only after this turn
  scope.abort(new Error("gone"));
  await assertRejects(() => waiting, AcquireAbortedError);
  assertEquals(made.pool.getStats().activeConnections, 0);
  (await made.pool.lease()).release();
});

Deno.test("who comes after a wait was given up waits anew", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const holder = await made.pool.lease();
  const own = new AbortController();
  const first = scope.lease({ signal: own.signal });
  own.abort(new Error("gone"));
  const second = scope.lease();
  await assertRejects(() => first, AcquireAbortedError);
  holder.release();
  (await second).release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("no place is an error for all who wait, and the next one may try again", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 10_000 });
  const scope = made.pool.scope({ timeoutMs: 15, lane: "high" });
  const holder = await made.pool.lease();
  const startMs = performance.now();
  const client = scope.client();
  const call = client.from("a").select().then((result) => result);
  await assertRejects(() => scope.lease(), AcquireTimeoutError);
  assertInstanceOf(transportFailure(client, (await call).error), AcquireTimeoutError);
  assert(performance.now() - startMs < 5_000);
  assert(scope.waitedMs >= 10 && scope.waitedMs < 5_000, `${scope.waitedMs}`);
  holder.release();
  (await scope.lease()).release();
  assertEquals((await client.from("a").select()).error, null);
  await scope.close().drained;
});

Deno.test("the lane of a session decides who is next, and that of a lease wins over it", async () => {
  await using made = rig({ maxConnections: 1 });
  const holder = await made.pool.lease();
  const order: string[] = [];
  const join = async (name: string, lease: Promise<Disposable>) => {
    using _lease = await lease;
    order.push(name);
  };
  const all = [
    join("low", made.pool.scope({ lane: "low" }).lease()),
    join("normal", made.pool.scope().lease()),
    join("high", made.pool.scope({ lane: "low" }).lease({ lane: "high" })),
  ];
  await delay(1);
  holder.release();
  await Promise.all(all);
  assertEquals(order, ["high", "normal", "low"]);
});

Deno.test("a shutdown takes the place back from all of a session", async () => {
  await using made = rig({ maxConnections: 1 });
  const scope = made.pool.scope();
  const [one, two] = [await scope.lease(), await scope.lease()];
  await made.pool.shutdown(0);
  await assertRejects(async () => await one.client.from("a").select(), LeaseRevokedError);
  await assertRejects(() => scope.lease(), LeaseRevokedError);
  assertThrows(() => one.release(), LateReleaseError);
  two[Symbol.dispose]();
});

Deno.test("a client given back as broken is lent to nobody else, once its last user is done", async () => {
  await using made = rig({ maxConnections: 1, minConnections: 0 });
  const scope = made.pool.scope();
  const [one, two] = [await scope.lease(), await scope.lease()];
  one.release({ destroy: true });
  assertEquals(made.pool.getStats().totalDestroyed, 0);
  two.release();
  await delay(1);
  assertEquals(made.pool.getStats().totalDestroyed, 1);
  (await scope.lease()).release();
  assertEquals(made.pool.getStats().totalDestroyed, 1);
});
