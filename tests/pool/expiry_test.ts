import { assert, assertEquals } from "@std/assert";
import { type PoolConfig, ResourcePool } from "../../shared/pool/mod.ts";
import type { Timer } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { counts, testPool } from "../support/pool.ts";
import { at, ScriptedFactory, type Thing } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

class HastyClock extends FakeClock {
  override setTimer(callback: () => void, delayMs: number): Timer {
    return super.setTimer(callback, delayMs > 1 ? delayMs - 0.5 : delayMs);
  }
}

function hastyPool(config: Partial<PoolConfig>, factory = new ScriptedFactory()) {
  const clock = new HastyClock();
  const pool = new ResourcePool<Thing>(factory, { minConnections: 0, ...config }, { clock, random: () => 0 });
  return { pool, factory, clock };
}

Deno.test("ResourcePool counts the idle time of a resource from its release", async () => {
  const { pool, clock, factory } = testPool({ idleTimeoutMs: 1_000 });
  for (let i = 0; i < 5; i++) {
    const lease = await pool.lease();
    await clock.advance(999);
    lease.release();
    await clock.advance(2);
  }
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("ResourcePool does not count a lease during a freeze as idle time", async () => {
  const { pool, clock, factory } = testPool({ minConnections: 0 });
  const lease = await pool.lease();
  clock.freeze(60_000);
  lease.release();
  (await pool.lease()).release();
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("ResourcePool shortens a lifetime by no more than lifetimeJitter", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxLifetimeMs: 5, idleTimeoutMs: 1_000 }, factory, () => 0.5);
  (await pool.lease()).release();
  await clock.advance(4); // 4.75 is what jitter allows
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("ResourcePool.resize() to a lower floor destroys what was idle for long enough at once", async () => {
  const { pool, clock, factory } = testPool({ minConnections: 3, idleTimeoutMs: 1_000 });
  await clock.advance(100_001);
  pool.resize({ minConnections: 0 });
  await clock.advance(10);
  assertEquals(factory.destroyed.length, 3);
});

Deno.test("ResourcePool destroys a resource idle for idleTimeoutMs, down to minConnections", async () => {
  const { pool, clock, reasons } = watchedPool({ minConnections: 1, idleTimeoutMs: 30_000 });
  const leases = [await pool.lease(), await pool.lease(), await pool.lease()];
  for (const lease of leases) lease.release();
  await clock.advance(29_999);
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  await clock.advance(1);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
  assertEquals(reasons(), ["idle", "idle"]);
  await clock.advance(300_000);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool destroys the least recently used surplus first", async () => {
  const { pool, clock, destroyed } = watchedPool({ idleTimeoutMs: 1_000 });
  const leases = [await pool.lease(), await pool.lease()];
  for (const lease of leases) lease.release();
  for (let i = 0; i < 10; i++) {
    await clock.advance(300);
    (await pool.lease()).release();
  }
  assertEquals(destroyed.map(({ resourceId }) => resourceId), [1]);
});

Deno.test("ResourcePool judges expiry at its next use after a freeze", async () => {
  const { pool, clock, reasons } = watchedPool({ idleTimeoutMs: 1_000, maxLifetimeMs: 10_000 });
  for (const lease of [await pool.lease(), await pool.lease(), await pool.lease()]) lease.release();
  clock.freeze(600_000);
  const lease = await pool.lease();
  assertEquals(lease.resource.id, 3, "the expired resources are not leased");
  assertEquals(reasons(), ["lifetime", "lifetime", "lifetime"]);
  lease.release();
});

Deno.test("ResourcePool does not lease a resource older than maxLifetimeMs again", async () => {
  const { pool, clock, reasons } = watchedPool({ maxLifetimeMs: 1_000, idleTimeoutMs: 60_000 });
  const lease = await pool.lease();
  await clock.advance(5_000);
  assertEquals(reasons(), [], "a leased resource is not destroyed");
  lease.release();
  await settle();
  assertEquals(reasons(), ["lifetime"]);
});

Deno.test("ResourcePool shortens each lifetime by a jitter drawn once, at creation", async () => {
  const draws = [0, 0.5, 1];
  const { pool, clock, destroyed } = watchedPool(
    { maxLifetimeMs: 10_000, lifetimeJitter: 0.1, idleTimeoutMs: 60_000 },
    new ScriptedFactory(),
    () => draws.shift() ?? 0,
  );
  for (const lease of [await pool.lease(), await pool.lease(), await pool.lease()]) lease.release();
  const ends = new Map<number, number>();
  for (let ms = 0; ms <= 10_000; ms += 100) {
    for (const { resourceId } of destroyed) if (!ends.has(resourceId)) ends.set(resourceId, ms);
    await clock.advance(100);
  }
  assertEquals([...ends].sort(), [[1, 10_000], [2, 9_500], [3, 9_000]]);
});

Deno.test("ResourcePool creates an expired floor again", async () => {
  const { pool, clock, factory } = watchedPool({ minConnections: 2, maxLifetimeMs: 1_000, idleTimeoutMs: 500 });
  (await pool.lease()).release();
  await clock.advance(10_000);
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
  assert(factory.attempts >= 10);
});

Deno.test("ResourcePool leases a resource at most maxUses times", async () => {
  const { pool, factory, reasons } = watchedPool({ maxUses: 3 });
  const ids: number[] = [];
  for (let i = 0; i < 7; i++) {
    const lease = await pool.lease();
    ids.push(lease.resource.id);
    lease.release();
  }
  assertEquals(ids, [0, 0, 0, 1, 1, 1, 2]);
  assertEquals(reasons(), ["uses", "uses"]);
  assertEquals(factory.destroyed.length, 2);
});

Deno.test("ResourcePool replaces an idle resource that dies", async () => {
  const { pool, factory, reasons } = watchedPool({ minConnections: 1 });
  at(factory.contexts, 0).invalidate(new Error("socket closed"));
  await settle();
  assertEquals(reasons(), ["invalid"]);
  assertEquals((await pool.lease()).resource.id, 1);
});

Deno.test("ResourcePool sweeps what a sweep created when it falls due", async () => {
  const { clock, factory } = testPool({ minConnections: 1, maxLifetimeMs: 1_000, idleTimeoutMs: 60_000 });
  await clock.advance(10_500);
  assertEquals(factory.attempts, 11);
});

Deno.test("ResourcePool sweeps again when the timer of a sweep fires early", async () => {
  const { pool, factory, clock } = hastyPool({ maxLifetimeMs: 100 });
  (await pool.lease()).release();
  await clock.advance(99.5);
  assertEquals(factory.destroyed.length, 0);
  await clock.advance(0.5);
  assertEquals(factory.destroyed.length, 1);
});
