import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { LateReleaseError, LeaseRevokedError, PoolClosedError, type PoolEvents } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";

Deno.test("ResourcePool.lease() rejects after a shutdown, and tryLease() returns undefined", async () => {
  const factory = new ScriptedFactory();
  const { pool } = testPool({}, factory);
  (await pool.lease()).release();
  await pool.shutdown();
  await assertRejects(() => pool.lease(), PoolClosedError);
  await assertRejects(() => pool.acquire(), PoolClosedError);
  assertEquals(pool.tryLease(), undefined);
});

Deno.test("ResourcePool.shutdown() rejects waiters and newcomers before it returns", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  await pool.lease();
  const waiter = pool.lease();
  waiter.catch(() => {});
  pool.shutdown();
  assertEquals(pool.getStats().waitingForConnection, 0);
  await assertRejects(() => waiter, PoolClosedError);
  await assertRejects(() => pool.lease(), PoolClosedError);
});

Deno.test("ResourcePool.shutdown() destroys idle resources before it returns, and lets holders finish", async () => {
  const { pool, factory, clock } = testPool();
  const [held, free] = [await pool.lease(), await pool.lease()];
  free.release();
  const done = pool.shutdown(5_000);
  assertEquals(factory.destroyed.map(({ id }) => id), [1]);
  await clock.advance(4_000);
  assert(held.active);
  assertEquals(await outcome(done), "pending");
  held.release();
  await done;
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool.shutdown() revokes active leases at its deadline", async () => {
  const { pool, factory, clock } = testPool();
  const lease = await pool.lease();
  const { signal } = lease;
  const done = pool.shutdown(5_000);
  await clock.advance(5_000);
  await done;
  assertInstanceOf(signal.reason, LeaseRevokedError);
  assertEquals(lease.active, false);
  assertEquals(factory.destroyed.length, 1);
  assertThrows(() => lease.release(), LateReleaseError);
  await lease[Symbol.asyncDispose]();
  const { totalAcquired, totalReleased, activeConnections } = pool.getStats();
  assertEquals([totalAcquired, totalReleased, activeConnections], [1, 1, 0]);
});

Deno.test("ResourcePool.shutdown(0) revokes every lease before it returns", async () => {
  const { pool, factory } = testPool();
  const thing = await pool.acquire();
  const done = pool.shutdown(0);
  assertEquals(factory.destroyed, [thing]);
  assertThrows(() => pool.release(thing), LateReleaseError);
  await done;
});

Deno.test("ResourcePool.shutdown() is idempotent", async () => {
  const { pool, factory } = testPool();
  (await pool.lease()).release();
  const first = pool.shutdown();
  assertStrictEquals(pool.shutdown(0), first);
  await first;
  assertStrictEquals(pool.shutdown(), first);
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("ResourcePool.shutdown() waits for closing resources, at most until its deadline", async () => {
  const factory = new ScriptedFactory();
  factory.onDestroy = () => new Promise(() => {});
  const { pool, clock } = testPool({ destroyTimeoutMs: 60_000 }, factory);
  let abandoned = -1;
  pool.on("closed", (event) => abandoned = event.abandoned);
  (await pool.lease()).release();
  const done = pool.shutdown(1_000);
  await clock.advance(999);
  assertEquals(await outcome(done), "pending");
  await clock.advance(1);
  await done;
  assertEquals(abandoned, 1);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool.shutdown() aborts creations, and destroys what they yield", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool, clock } = testPool({}, factory);
  const waiter = pool.lease();
  waiter.catch(() => {});
  const done = pool.shutdown(1_000);
  assert(at(factory.contexts, 0).signal.aborted);
  at(held, 0).resolve(factory.make());
  await settle();
  await done;
  assertEquals(factory.destroyed.length, 1);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool.shutdown() does not wait for a creation that hangs", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool, clock } = testPool({}, factory);
  pool.lease().catch(() => {});
  const done = pool.shutdown(1_000);
  await clock.advance(1_000);
  await done;
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
  assertEquals(clock.timers, 0);
  at(held, 0).resolve(factory.make());
  await settle();
  assertEquals(factory.destroyed.length, 1, "what comes too late is closed");
});

Deno.test("ResourcePool.shutdown() leaves no timer, whatever was running", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => new Promise(() => {});
  const { pool, clock } = testPool({ minConnections: 2, maxConnections: 3 }, factory);
  await clock.advance(1_000);
  const controller = new AbortController();
  const waiters = [pool.lease(), pool.lease({ signal: controller.signal }), pool.lease({ timeoutMs: 99_000 })];
  for (const waiter of waiters) waiter.catch(() => {});
  const done = pool.shutdown(100);
  await clock.advance(100);
  await done;
  assertEquals(clock.timers, 0);
  const { totalCreated, totalDestroyed, totalAbandoned } = pool.getStats();
  assertEquals(totalCreated, totalDestroyed + totalAbandoned);
});

Deno.test("ResourcePool.shutdown() destroys a resource once that is released as broken", async () => {
  const { pool, factory } = testPool();
  const lease = await pool.lease();
  const done = pool.shutdown();
  lease.release({ destroy: true });
  await done;
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("ResourcePool.acquire() rejects with PoolClosedError when a shutdown revokes its lease at once", async () => {
  const { pool } = testPool({});
  const p = pool.acquire();
  p.catch(() => {});
  pool.shutdown(0);
  await assertRejects(() => p, PoolClosedError);
});

Deno.test("ResourcePool.shutdown() emits and records the leases that it revokes", async () => {
  const { pool } = testPool({});
  let waits = 0, uses = 0, released = 0;
  pool.record({ waitTime: () => waits++, useTime: () => uses++ });
  pool.on("released", () => released++);
  await pool.lease();
  await pool.shutdown(0);
  await settle();
  assertEquals([waits, uses, released, pool.getStats().totalReleased], [1, 1, 1, 1]);
});

Deno.test("ResourcePool.shutdown() brings the deadline forward when it is called again", async () => {
  const { pool } = testPool({});
  await pool.lease();
  pool.shutdown(Infinity);
  assertEquals(await outcome(pool.shutdown(0)), { value: undefined });
});

Deno.test("ResourcePool.shutdown() revokes every lease though an onLost listener throws", async () => {
  const { pool } = testPool();
  const errors: PoolEvents["error"][] = [];
  pool.on("error", (event) => errors.push(event));
  const leases = [await pool.lease(), await pool.lease()];
  for (const lease of leases) {
    lease.onLost(() => {
      throw new Error("from onLost");
    });
  }
  await pool.shutdown(0);
  assertEquals(leases.map(({ active }) => active), [false, false]);
  await settle();
  assertEquals(errors.map(({ source }) => source), ["listener", "listener"]);
});

Deno.test("ResourcePool.shutdown() in a listener leaves nothing behind", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  pool.on("acquired", () => void pool.shutdown(0));
  const lease = await pool.lease();
  await pool.shutdown();
  assertEquals(lease.active, false);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool.shutdown(0) revokes leases of every lane, and none counts as active afterwards", async () => {
  const { pool, clock } = testPool({ maxConnections: 3, reservedConnections: 1 });
  for (const lane of ["admin", "normal", "low"] as const) await pool.lease({ lane });
  await pool.shutdown(0);
  const { activeConnections, totalConnections, totalAcquired, totalReleased } = pool.getStats();
  assertEquals([activeConnections, totalConnections, totalAcquired, totalReleased], [0, 0, 3, 3]);
  assertEquals(clock.timers, 0);
});
