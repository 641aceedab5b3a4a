import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";

Deno.test("ResourcePool.resize() to a higher maximum serves waiters", async () => {
  const { pool, factory } = testPool({ maxConnections: 1 });
  const held = [await pool.lease()];
  const waiting = [pool.lease(), pool.lease(), pool.lease()];
  pool.resize({ maxConnections: 3 });
  held.push(...await Promise.all(waiting.slice(0, 2)));
  assertEquals(counts(pool.getStats()), [3, 3, 0, 1]);
  assertEquals(pool.getStats().maxConnections, 3);
  for (const lease of held) lease.release();
  (await waiting[2])?.release();
  assertEquals(factory.attempts, 3);
});

Deno.test("ResourcePool.resize() does not end the limit of a pool that has one", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  assertThrows(() => pool.resize({ maxConnections: Infinity }), ConfigError, "a whole number from 1 to 10000");
  assertEquals(pool.limits.maxConnections, 1);
  await pool.shutdown();
});

Deno.test("ResourcePool.resize() changes the other limits of a pool without a limit", async () => {
  const { pool } = testPool({ maxConnections: Infinity, minConnections: 0 });
  pool.resize({ minConnections: 1 });
  assertEquals(pool.limits, { maxConnections: Infinity, minConnections: 1, reservedConnections: 0 });
  pool.resize({ maxConnections: 5 });
  assertThrows(() => pool.resize({ maxConnections: Infinity }), ConfigError);
  await pool.shutdown();
});

Deno.test("ResourcePool.resize() below the active leases leases nothing until enough are released", async () => {
  const { pool, factory } = testPool({ maxConnections: 5 });
  const held = [await pool.lease(), await pool.lease(), await pool.lease(), await pool.lease()];
  pool.resize({ maxConnections: 2 });
  const waiting = pool.lease();
  assertEquals(pool.tryLease(), undefined);
  held.pop()?.release();
  held.pop()?.release();
  assertEquals(await outcome(waiting), "pending");
  assertEquals(counts(pool.getStats()), [2, 2, 0, 1]);
  assertEquals(factory.destroyed.length, 2);
  held.pop()?.release();
  (await waiting).release();
  held.pop()?.release();
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
});

Deno.test("ResourcePool.resize() to a lower maximum destroys idle resources at once, the least recently used first", async () => {
  const { pool, factory } = testPool({ maxConnections: 4 });
  const held = [await pool.lease(), await pool.lease(), await pool.lease(), await pool.lease()];
  for (const lease of held) lease.release();
  pool.resize({ maxConnections: 1 });
  assertEquals(factory.destroyed.map(({ id }) => id), [0, 1, 2]);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.resize() twice at once ends at the last limits", async () => {
  const { pool } = testPool({ maxConnections: 4 });
  const held = [await pool.lease(), await pool.lease(), await pool.lease(), await pool.lease()];
  const waiting = [pool.lease(), pool.lease(), pool.lease()];
  pool.resize({ maxConnections: 1 });
  pool.resize({ maxConnections: 6 });
  const two = await Promise.all(waiting.slice(0, 2));
  assertEquals(counts(pool.getStats()), [6, 6, 0, 1]);
  for (const lease of [...held, ...two]) lease.release();
  (await waiting[2])?.release();
  assertEquals(counts(pool.getStats()), [6, 0, 6, 0]);
});

Deno.test("ResourcePool.resize() destroys a resource that was being created, unless a waiter may lease it", async () => {
  const { pool, factory } = testPool({ maxConnections: 3 });
  const creations = factory.holdCreations();
  const waiting = [pool.lease(), pool.lease(), pool.lease()];
  pool.resize({ maxConnections: 1 });
  for (const creation of creations) creation.resolve(factory.make());
  (await waiting[0])?.release();
  (await waiting[1])?.release();
  (await waiting[2])?.release();
  await settle();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.resize() fills a raised floor, and lets a lowered one expire", async () => {
  const { pool, clock } = testPool({ maxConnections: 5, idleTimeoutMs: 1_000 });
  pool.resize({ minConnections: 3 });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  pool.resize({ minConnections: 1 });
  await clock.advance(2_000);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.resize() applies a reservation at once", async () => {
  const { pool } = testPool({ maxConnections: 2 });
  const users = [await pool.lease(), await pool.lease()];
  pool.resize({ reservedConnections: 1 });
  const waiting = pool.lease();
  users.pop()?.release();
  assertEquals(await outcome(waiting), "pending");
  (await pool.lease({ lane: "admin", timeoutMs: 0 })).release();
  users.pop()?.release();
  (await waiting).release();
});

Deno.test("ResourcePool.resize() lowers a missing minConnections to maxConnections", () => {
  const { pool } = testPool({ maxConnections: 5, minConnections: 3 });
  pool.resize({ maxConnections: 2 });
  assertEquals(pool.limits, { maxConnections: 2, minConnections: 2, reservedConnections: 0 });
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
});

Deno.test("ResourcePool.resize() lists every invalid limit and changes nothing", async () => {
  const { pool } = testPool({ maxConnections: 3 });
  const bad = { maxConnections: 0, minConnections: -1, reservedConnections: 1.5 };
  const error = assertThrows(() => pool.resize(bad), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), Object.keys(bad));
  assertThrows(() => pool.resize({ minConnections: 4 }), ConfigError, "at most maxConnections (3)");
  assertThrows(() => pool.resize({ reservedConnections: 4 }), ConfigError, "at most maxConnections (3)");
  assertEquals(pool.limits, { maxConnections: 3, minConnections: 0, reservedConnections: 0 });
  await pool.shutdown();
});

Deno.test("ResourcePool.resize() emits the limits before and after", async () => {
  const { pool } = testPool({ maxConnections: 3 });
  const events: unknown[] = [];
  pool.on("resized", (event) => events.push(event));
  pool.resize({ maxConnections: 5 });
  await settle();
  assertEquals(events, [{
    limits: { maxConnections: 5, minConnections: 0, reservedConnections: 0 },
    before: { maxConnections: 3, minConnections: 0, reservedConnections: 0 },
  }]);
});

Deno.test("ResourcePool.resize() emits in the order of the calls", async () => {
  const { pool, factory } = testPool({ maxConnections: 3 });
  const ls = [await pool.lease(), await pool.lease(), await pool.lease()];
  ls.forEach((l) => l.release());
  const events: number[][] = [];
  pool.on("resized", ({ before, limits }) => events.push([before.maxConnections, limits.maxConnections]));
  let once = true;
  factory.onDestroy = () => {
    if (once) {
      once = false;
      pool.resize({ maxConnections: 9 });
    }
  };
  pool.resize({ maxConnections: 1 });
  await settle();
  assertEquals(events, [[3, 1], [1, 9]]);
});
