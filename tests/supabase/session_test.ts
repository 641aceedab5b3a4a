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
} from "../../shared/pool/mod.ts";
import { IdentityError, transportFailure } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { rig, SECRET } from "./support.ts";

Deno.test("what is leased while a place is held shares it, and the last one gives it back", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 50 });
  const session = made.pool.session();
  const lent = () => made.pool.getStats().activeConnections;
  assertEquals(lent(), 0);
  const outer = await session.lease();
  const inner = await session.lease();
  const deferred = session.defer();
  await Promise.all([outer, inner, deferred].map(({ client }) => client.from("a").select()));
  assertEquals([lent(), made.pool.getStats().totalAcquired], [1, 1]);
  outer.release();
  inner.release();
  assertEquals(lent(), 1);
  await deferred.end();
  assertEquals(lent(), 0);
  await (await session.lease())[Symbol.asyncDispose]();
  assertEquals([lent(), made.pool.getStats().totalAcquired], [0, 2]);
});

Deno.test("each lease of a session ends for itself", async () => {
  await using made = rig({ maxConnections: 1 });
  const session = made.pool.session();
  const one = await session.lease();
  const two = await session.lease();
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
  const session = made.pool.session();
  const deferred = session.defer();
  const leases = await Promise.all(Array.from({ length: 5 }, () => session.lease()));
  const clients = [deferred, ...leases].map(({ client }) => client);
  await Promise.all(Array.from({ length: 30 }, (_, i) => clients[i % clients.length]?.from("a").select()));
  assertEquals([made.project.requests.length, made.project.load.most], [30, 3]);
  for (const lease of leases) lease.release();
  await deferred.end();
});

Deno.test("a session acts for its caller, and a lease that is to act for another one is refused", async () => {
  await using made = rig();
  const [alice, bob] = [userToken("alice"), userToken("bob")];
  const session = made.pool.session({ identity: { token: alice }, apiKey: "sb_publishable_web" });
  for (const identity of [{ token: bob }, "anonymous", "admin"] as const) {
    await assertRejects(() => session.lease({ identity }), IdentityError);
  }
  await using lease = await session.lease({ identity: { token: alice } });
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
    assertThrows(() => user.pool.session({ apiKey: "sb_secret_other" }), IdentityError),
    assertThrows(() => admin.pool.session({ apiKey: "sb_publishable_other" }), IdentityError),
  ];
  for (const { message } of refused) assert(!message.includes("_other"), message);
  await using lease = await admin.pool.session({ apiKey: "sb_secret_jobs" }).lease();
  await lease.client.from("a").select();
  assertEquals(admin.project.requests.map(({ apikey }) => apikey), ["sb_secret_jobs"]);
});

Deno.test("an abort ends what waits and what is under way, and frees the place at once", async () => {
  await using made = rig({ maxConnections: 1 });
  made.project.answer = () => new Promise(() => {});
  const gone = new Error("gone");
  const session = made.pool.session();
  const lease = await session.lease();
  const deferred = session.defer();
  const calls = [lease, deferred].map(({ client }) => client.from("a").select().then((result) => result));
  while (made.project.requests.length < 2) await delay(1);
  session.abort(gone);
  assertEquals(made.pool.getStats().activeConnections, 0);
  const [one, two] = await Promise.all(calls);
  assertEquals([transportFailure(lease.client, one?.error), transportFailure(deferred.client, two?.error)], [
    gone,
    gone,
  ]);
  lease.release(); // it knew nothing of the abort
  assertThrows(() => lease.release(), DoubleReleaseError);
  await deferred.end();

  const holder = await made.pool.lease();
  const late = made.pool.session();
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
  const session = made.pool.session({ signal: caller.signal });
  const holder = await made.pool.lease();
  const waiting = session.lease();
  await delay(1);
  caller.abort(new Error("gone"));
  assertEquals(made.pool.getStats().waitingForConnection, 0);
  assertEquals(((await assertRejects(() => waiting, AcquireAbortedError)).cause as Error).message, "gone");
  await assertRejects(() => session.lease(), AcquireAbortedError);
  holder.release();
});

Deno.test("who has gone away already is refused, held place or not", async () => {
  await using made = rig({ maxConnections: 1 });
  const session = made.pool.session();
  await using _held = await session.lease();
  await assertRejects(() => session.lease({ signal: AbortSignal.abort() }), AcquireAbortedError);
});

Deno.test("of those who wait for a place one may give up, and the others get it", async () => {
  await using made = rig({ maxConnections: 1 });
  const session = made.pool.session();
  const holder = await made.pool.lease();
  const own = new AbortController();
  const impatient = session.lease({ signal: own.signal });
  const patient = session.lease();
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
  const session = made.pool.session();
  const holder = await made.pool.lease();
  const waiting = session.lease();
  await delay(1);
  holder.release(); // granted now; whoever waits goes on only after this turn
  session.abort(new Error("gone"));
  await assertRejects(() => waiting, AcquireAbortedError);
  assertEquals(made.pool.getStats().activeConnections, 0);
  (await made.pool.lease()).release();
});

Deno.test("who comes after a wait was given up waits anew", async () => {
  await using made = rig({ maxConnections: 1 });
  const session = made.pool.session();
  const holder = await made.pool.lease();
  const own = new AbortController();
  const first = session.lease({ signal: own.signal });
  own.abort(new Error("gone"));
  const second = session.lease();
  await assertRejects(() => first, AcquireAbortedError);
  holder.release();
  (await second).release();
  assertEquals(made.pool.getStats().activeConnections, 0);
});

Deno.test("no place is an error for all who wait, and the next one may try again", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 10_000 });
  const session = made.pool.session({ timeoutMs: 15, lane: "high" });
  const holder = await made.pool.lease();
  const startMs = performance.now();
  const deferred = session.defer();
  const call = deferred.client.from("a").select().then((result) => result);
  await assertRejects(() => session.lease(), AcquireTimeoutError);
  assertInstanceOf(transportFailure(deferred.client, (await call).error), AcquireTimeoutError);
  assert(performance.now() - startMs < 5_000);
  assert(session.waitedMs >= 10 && session.waitedMs < 5_000, `${session.waitedMs}`);
  holder.release();
  (await session.lease()).release();
  assertEquals((await deferred.client.from("a").select()).error, null);
  await deferred.end();
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
    join("low", made.pool.session({ lane: "low" }).lease()),
    join("normal", made.pool.session().lease()),
    join("high", made.pool.session({ lane: "low" }).lease({ lane: "high" })),
  ];
  await delay(1);
  holder.release();
  await Promise.all(all);
  assertEquals(order, ["high", "normal", "low"]);
});

Deno.test("a shutdown takes the place back from all of a session", async () => {
  await using made = rig({ maxConnections: 1 });
  const session = made.pool.session();
  const [one, two] = [await session.lease(), await session.lease()];
  await made.pool.shutdown(0);
  await assertRejects(async () => await one.client.from("a").select(), LeaseRevokedError);
  await assertRejects(() => session.lease(), LeaseRevokedError);
  assertThrows(() => one.release(), LateReleaseError);
  two[Symbol.dispose]();
});

Deno.test("a client given back as broken is lent to nobody else, once its last user is done", async () => {
  await using made = rig({ maxConnections: 1, minConnections: 0 });
  const session = made.pool.session();
  const [one, two] = [await session.lease(), await session.lease()];
  one.release({ destroy: true });
  assertEquals(made.pool.getStats().totalDestroyed, 0);
  two.release();
  await delay(1);
  assertEquals(made.pool.getStats().totalDestroyed, 1);
  (await session.lease()).release();
  assertEquals(made.pool.getStats().totalDestroyed, 1);
});
