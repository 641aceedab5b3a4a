/** The limit of a pool that follows load: ResourcePool.adapt(). */
import { assertEquals } from "@std/assert";
import { testPool } from "../support/pool.ts";

const WITHOUT_MIN = { minConnections: 0 };

Deno.test("ResourcePool.adapt() lowers the number of leases, and raises it for those that wait", async () => {
  const { pool } = testPool({ maxConnections: 10, ...WITHOUT_MIN });
  pool.adapt(2);
  assertEquals([pool.getStats().limit, pool.getStats().maxConnections], [2, 10]);
  const leases = [await pool.lease(), await pool.lease()];
  const waiting = [pool.lease(), pool.lease()];
  assertEquals(pool.load(), { leased: 2, hasWaiters: true });
  pool.adapt(3);
  leases.push(await waiting[0] ?? await pool.lease());
  assertEquals([pool.getStats().activeConnections, pool.getStats().waitingForConnection], [3, 1]);
  for (const lease of leases) lease.release();
  (await waiting[1])?.release();
  assertEquals(pool.load(), { leased: 0, hasWaiters: false });
});

Deno.test("ResourcePool.adapt() keeps leases that are out, and grants none above the limit", async () => {
  const { pool } = testPool({ maxConnections: 10, ...WITHOUT_MIN });
  const leases = await Promise.all([pool.lease(), pool.lease(), pool.lease()]);
  pool.adapt(1);
  assertEquals(pool.getStats().activeConnections, 3);
  const waiting = pool.lease();
  leases[0]?.release();
  leases[1]?.release();
  assertEquals([pool.getStats().activeConnections, pool.getStats().waitingForConnection], [1, 1]);
  assertEquals(pool.tryLease(), undefined);
  leases[2]?.release();
  (await waiting).release();
});

Deno.test("ResourcePool.adapt() never lowers the limit below 1, and keeps reserved connections", async () => {
  const { pool } = testPool({ maxConnections: 10, reservedConnections: 4, ...WITHOUT_MIN });
  pool.adapt(0);
  assertEquals(pool.getStats().limit, 5);
  const normal = await pool.lease();
  assertEquals(pool.tryLease(), undefined);
  const admin = await Promise.all(Array.from({ length: 4 }, () => pool.lease({ lane: "admin" })));
  assertEquals([pool.getStats().activeConnections, pool.load().leased], [5, 1]);
  for (const lease of [normal, ...admin]) lease.release();
  pool.adapt(1_000);
  assertEquals(pool.getStats().limit, 10);
});

Deno.test("ResourcePool.adapt() stays within limits that change, and returns to its own", () => {
  const { pool } = testPool({ maxConnections: 100, ...WITHOUT_MIN });
  pool.adapt(50);
  pool.resize({ maxConnections: 20 });
  assertEquals(pool.getStats().limit, 20);
  pool.resize({ maxConnections: 100 });
  assertEquals(pool.getStats().limit, 50);
});

Deno.test("ResourcePool.adapt() emits limitChanged, reportLimit() as not applied", async () => {
  const { pool } = testPool({ maxConnections: 10, ...WITHOUT_MIN });
  const events: unknown[] = [];
  pool.on("limitChanged", (event) => events.push(event));
  pool.adapt(5);
  pool.adapt(5);
  pool.reportLimit(20, 10);
  await Promise.resolve();
  assertEquals(events, [{ limit: 5, before: 10, applied: true }, { limit: 20, before: 10, applied: false }]);
  assertEquals(pool.getStats().limit, 5);
});
