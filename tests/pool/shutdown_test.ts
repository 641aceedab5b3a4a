import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { LateReleaseError, LeaseRevokedError, PoolClosedError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";

Deno.test("shutdown refuses those who wait and whoever comes, before it returns", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  await pool.lease();
  const waiter = pool.lease();
  waiter.catch(() => {});
  pool.shutdown();
  assertEquals(pool.getStats().waitingForConnection, 0);
  await assertRejects(() => waiter, PoolClosedError);
  await assertRejects(() => pool.lease(), PoolClosedError);
});

Deno.test("shutdown closes what is free before it returns, and lets holders finish", async () => {
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

Deno.test("shutdown takes back at its deadline what is still held", async () => {
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

Deno.test("shutdown(0) takes everything back before it returns", async () => {
  const { pool, factory } = testPool();
  const thing = await pool.acquire();
  const done = pool.shutdown(0);
  assertEquals(factory.destroyed, [thing]);
  assertThrows(() => pool.release(thing), LateReleaseError);
  await done;
});

Deno.test("shutdown is idempotent", async () => {
  const { pool, factory } = testPool();
  (await pool.lease()).release();
  const first = pool.shutdown();
  assertStrictEquals(pool.shutdown(0), first);
  await first;
  assertStrictEquals(pool.shutdown(), first);
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("shutdown waits for what is closing, and no longer than its deadline", async () => {
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

Deno.test("shutdown aborts what is being made, and closes it if it comes all the same", async () => {
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

Deno.test("shutdown waits for no creation that hangs", async () => {
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

Deno.test("shutdown leaves no timer behind, whatever was under way", async () => {
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

Deno.test("a lease that comes back broken during a shutdown is closed once", async () => {
  const { pool, factory } = testPool();
  const lease = await pool.lease();
  const done = pool.shutdown();
  lease.release({ destroy: true });
  await done;
  assertEquals(factory.destroyed.length, 1);
});
