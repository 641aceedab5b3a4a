/** Tests the leases of a `CallerScope`, which share one slot. */
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
import { createRig, SECRET } from "../support.ts";
import { until } from "../../support/until.ts";

Deno.test("CallerScope.lease() shares the slot of its scope, and the last member releases it", async () => {
  await using rig = createRig({ maxConnections: 1, acquireTimeoutMs: 50 });
  const scope = rig.pool.scope();
  const active = () => rig.pool.getStats().activeConnections;
  assertEquals(active(), 0);
  const outer = await scope.lease();
  const inner = await scope.lease();
  const client = scope.client();
  await Promise.all([outer.client, inner.client, client].map((each) => each.from("a").select()));
  assertEquals([active(), rig.pool.getStats().totalAcquired], [1, 1]);
  outer.release();
  inner.release();
  assertEquals(active(), 1);
  await scope.close().drained;
  assertEquals(active(), 0);
  await assertRejects(() => scope.lease(), LeaseReleasedError, "the scope is closed");
  const next = rig.pool.scope();
  await (await next.lease())[Symbol.asyncDispose]();
  await (await next.lease())[Symbol.asyncDispose]();
  assertEquals([active(), rig.pool.getStats().totalAcquired], [0, 3]);
});

Deno.test("CallerScope.lease() returns leases that are released separately", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const one = await scope.lease();
  const two = await scope.lease();
  one.release();
  assertInstanceOf(transportFailure(one.client, (await one.client.from("a").select()).error), LeaseReleasedError);
  assertEquals((await two.client.from("a").select()).error, null);
  assertThrows(() => one.release(), DoubleReleaseError);
  assertEquals(rig.pool.getStats().activeConnections, 1);
  one[Symbol.dispose]();
  two.release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope limits the calls of all its leases together to callsPerLease at once", async () => {
  await using rig = createRig({ maxConnections: 10, callsPerLease: 3 });
  rig.project.answer = async () => {
    await delay(2);
    return Response.json([]);
  };
  const scope = rig.pool.scope();
  const client = scope.client();
  const leases = await Promise.all(Array.from({ length: 5 }, () => scope.lease()));
  const clients = [client, ...leases.map((lease) => lease.client)];
  await Promise.all(Array.from({ length: 30 }, (_, i) => clients[i % clients.length]?.from("a").select()));
  assertEquals([rig.project.requests.length, rig.project.load.most], [30, 3]);
  for (const lease of leases) lease.release();
  await scope.close().drained;
});

Deno.test("CallerScope.lease() acts for the scope's caller and rejects another identity", async () => {
  await using rig = createRig();
  const [alice, bob] = [userToken("alice"), userToken("bob")];
  const scope = rig.pool.scope({ identity: { token: alice }, apiKey: "sb_publishable_web" });
  for (const identity of [{ token: bob }, "anonymous", "admin"] as const) {
    await assertRejects(() => scope.lease({ identity }), IdentityError);
  }
  await using lease = await scope.lease({ identity: { token: alice } });
  await lease.client.from("a").select();
  await lease.client.functions.invoke("f");
  await lease.client.storage.from("b").list();
  for (const { apikey, authorization } of rig.project.requests) {
    assertEquals([apikey, authorization], ["sb_publishable_web", `Bearer ${alice}`]);
  }
  assertEquals(rig.project.requests.length, 3);
});

Deno.test("SupabaseConnectionPool.scope() rejects an apiKey of another kind, without showing it", async () => {
  await using user = createRig();
  await using admin = createRig({}, SECRET);
  const refused = [
    assertThrows(() => user.pool.scope({ apiKey: "sb_secret_other" }), IdentityError),
    assertThrows(() => admin.pool.scope({ apiKey: "sb_publishable_other" }), IdentityError),
  ];
  for (const { message } of refused) assert(!message.includes("_other"), message);
  await using lease = await admin.pool.scope({ apiKey: "sb_secret_jobs" }).lease();
  await lease.client.from("a").select();
  assertEquals(admin.project.requests.map(({ apikey }) => apikey), ["sb_secret_jobs"]);
});

Deno.test("CallerScope.abort() ends waits and calls, and frees the slot at once", async () => {
  await using rig = createRig({ maxConnections: 1 });
  rig.project.answer = () => new Promise(() => {});
  const reason = new Error("gone");
  const scope = rig.pool.scope();
  const lease = await scope.lease();
  const client = scope.client();
  const calls = [lease.client, client].map((each) => each.from("a").select().then((result) => result));
  await until("two requests arrive", () => rig.project.requests.length >= 2);
  scope.abort(reason);
  assertEquals(rig.pool.getStats().activeConnections, 0);
  const [one, two] = await Promise.all(calls);
  assertEquals([transportFailure(lease.client, one?.error), transportFailure(client, two?.error)], [
    reason,
    reason,
  ]);
  lease.release(); // the first release after the abort does not throw
  assertThrows(() => lease.release(), DoubleReleaseError);
  await scope.close().drained;

  const holder = await rig.pool.lease();
  const late = rig.pool.scope();
  const waiting = late.lease();
  const behind = late.lease();
  await delay(1);
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  late.abort(reason);
  assertEquals(rig.pool.getStats().waitingForConnection, 0);
  for (const wait of [waiting, behind]) await assertRejects(() => wait, AcquireAbortedError);
  holder.release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.lease() rejects waiting and later leases when the scope's signal aborts", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const caller = new AbortController();
  const scope = rig.pool.scope({ signal: caller.signal });
  const holder = await rig.pool.lease();
  const waiting = scope.lease();
  await delay(1);
  caller.abort(new Error("gone"));
  assertEquals(rig.pool.getStats().waitingForConnection, 0);
  assertEquals(((await assertRejects(() => waiting, AcquireAbortedError)).cause as Error).message, "gone");
  await assertRejects(() => scope.lease(), AcquireAbortedError);
  holder.release();
});

Deno.test("CallerScope.lease() rejects an aborted signal although the scope holds a slot", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  await using _held = await scope.lease();
  await assertRejects(() => scope.lease({ signal: AbortSignal.abort() }), AcquireAbortedError);
});

Deno.test("CallerScope.lease() removes an aborted waiter and serves the others", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const holder = await rig.pool.lease();
  const own = new AbortController();
  const impatient = scope.lease({ signal: own.signal });
  const patient = scope.lease();
  await delay(1);
  own.abort();
  await assertRejects(() => impatient, AcquireAbortedError);
  assertEquals(rig.pool.getStats().waitingForConnection, 1);
  holder.release();
  (await patient).release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.abort() releases a slot that is granted at the same moment", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const holder = await rig.pool.lease();
  const waiting = scope.lease();
  await delay(1);
  holder.release(); // granted now; the waiter continues after this turn only
  scope.abort(new Error("gone"));
  await assertRejects(() => waiting, AcquireAbortedError);
  assertEquals(rig.pool.getStats().activeConnections, 0);
  (await rig.pool.lease()).release();
});

Deno.test("CallerScope.lease() waits again after an earlier wait was aborted", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const holder = await rig.pool.lease();
  const own = new AbortController();
  const first = scope.lease({ signal: own.signal });
  own.abort(new Error("gone"));
  const second = scope.lease();
  await assertRejects(() => first, AcquireAbortedError);
  holder.release();
  (await second).release();
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("CallerScope.lease() rejects all waiters on an acquire timeout, and the next lease may succeed", async () => {
  await using rig = createRig({ maxConnections: 1, acquireTimeoutMs: 10_000 });
  const scope = rig.pool.scope({ timeoutMs: 15, lane: "high" });
  const holder = await rig.pool.lease();
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

Deno.test("CallerScope.lease() waits in the scope's lane, and the lane of a lease overrides it", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const holder = await rig.pool.lease();
  const order: string[] = [];
  const join = async (name: string, lease: Promise<Disposable>) => {
    using _lease = await lease;
    order.push(name);
  };
  const all = [
    join("low", rig.pool.scope({ lane: "low" }).lease()),
    join("normal", rig.pool.scope().lease()),
    join("high", rig.pool.scope({ lane: "low" }).lease({ lane: "high" })),
  ];
  await delay(1);
  holder.release();
  await Promise.all(all);
  assertEquals(order, ["high", "normal", "low"]);
});

Deno.test("CallerScope leases are all revoked by a shutdown", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const scope = rig.pool.scope();
  const [one, two] = [await scope.lease(), await scope.lease()];
  await rig.pool.shutdown(0);
  assertInstanceOf(transportFailure(one.client, (await one.client.from("a").select()).error), LeaseRevokedError);
  await assertRejects(() => scope.lease(), LeaseRevokedError);
  assertThrows(() => one.release(), LateReleaseError);
  two[Symbol.dispose]();
});

Deno.test("CallerScope.lease() destroys a slot that was released with destroy once its last member leaves", async () => {
  await using rig = createRig({ maxConnections: 1, minConnections: 0 });
  const scope = rig.pool.scope();
  const [one, two] = [await scope.lease(), await scope.lease()];
  one.release({ destroy: true });
  assertEquals(rig.pool.getStats().totalDestroyed, 0);
  two.release();
  await delay(1);
  assertEquals(rig.pool.getStats().totalDestroyed, 1);
  (await scope.lease()).release();
  assertEquals(rig.pool.getStats().totalDestroyed, 1);
});
