/** Tests pools while memory is low. */
import { assertEquals } from "@std/assert";
import { Capacity } from "../../shared/pool/capacity.ts";
import { type PoolEvents, ResourcePool } from "../../shared/pool/mod.ts";

Deno.test("Capacity.halve() halves the unreserved part, down to 1, and keeps what is reserved", () => {
  const roomOf = (maxConnections: number, reservedConnections = 0) => {
    const capacity = new Capacity({ maxConnections, minConnections: 0, reservedConnections });
    const before = [capacity.room("normal"), capacity.room("admin")];
    capacity.halve(true);
    capacity.halve(true);
    const low = [capacity.room("normal"), capacity.room("admin")];
    capacity.halve(false);
    assertEquals([capacity.room("normal"), capacity.room("admin")], before);
    return low;
  };
  assertEquals([roomOf(10), roomOf(5), roomOf(1), roomOf(Infinity)], [[5, 5], [2, 2], [1, 1], [Infinity, Infinity]]);
  assertEquals([roomOf(10, 4), roomOf(4, 4)], [[3, 4], [0, 4]]);
});

Deno.test("ResourcePool.setMemoryLow() halves the limit and closes idle resources, until memory has recovered", async () => {
  let open = 0;
  const pool = new ResourcePool({ create: () => ({ n: ++open }), destroy: () => void open-- }, {
    maxConnections: 8,
    minConnections: 1,
  });
  const events: (keyof PoolEvents)[] = [];
  const reasons = new Set<string>();
  for (const name of ["memoryLow", "memoryRecovered"] as const) pool.on(name, () => events.push(name));
  pool.on("destroyed", ({ reason }) => reasons.add(reason));
  const leases = await Promise.all(Array.from({ length: 8 }, () => pool.lease()));
  for (const lease of leases.splice(0, 5)) lease.release();
  assertEquals([open, pool.getStats().idleConnections], [8, 5]);

  pool.setMemoryLow(true);
  assertEquals([open, pool.getStats().idleConnections], [3, 0]);
  leases.push(await pool.lease());
  const waiting = pool.lease();
  await Promise.resolve();
  assertEquals(reasons, new Set(["memory"]));
  assertEquals([pool.getStats().activeConnections, pool.getStats().waitingForConnection], [4, 1]);
  pool.setMemoryLow(true);
  assertEquals(pool.getStats().totalMemoryLow, 1);

  pool.setMemoryLow(false);
  leases.push(await waiting);
  assertEquals([pool.getStats().activeConnections, pool.limits.maxConnections], [5, 8]);
  pool.setMemoryLow(false);
  pool.resize({ maxConnections: 6 });
  pool.setMemoryLow(true);
  assertEquals(pool.getStats().totalMemoryLow, 2);
  for (const lease of leases) lease.release();
  assertEquals(pool.getStats().waitingForConnection, 0);
  await pool.shutdown(0);
  pool.setMemoryLow(true);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(events, ["memoryLow", "memoryRecovered", "memoryLow"], "a pool that is shut down has nothing to drop");
});
