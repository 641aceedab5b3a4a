import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, type Lane, type Lease } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { type Thing } from "../support/scripted_factory.ts";

type Pool = ReturnType<typeof testPool>["pool"];

/** Lines acquires up; `granted` fills in the order in which they are served. */
function lineUp(pool: Pool, granted: string[], name: string, lane: Lane): Promise<Lease<Thing>> {
  const lease = pool.lease({ lane, timeoutMs: Infinity });
  lease.then(() => granted.push(name), () => {});
  return lease;
}

/** Releases leases one after the other, `stepMs` apart, until no acquire waits. */
async function serve(test: ReturnType<typeof testPool>, waiting: Promise<Lease<Thing>>[], stepMs = 0): Promise<void> {
  const held = new Set<Lease<Thing>>();
  for (const lease of waiting) lease.then((granted) => held.add(granted));
  for (let turn = 0; turn < 10_000 && (held.size > 0 || test.pool.getStats().waitingForConnection > 0); turn++) {
    await test.clock.advance(stepMs);
    for (const lease of [...held]) {
      held.delete(lease);
      lease.release();
      await settle();
    }
  }
}

Deno.test("ResourcePool.lease() serves lanes high, normal, low, and first come, first served within each", async () => {
  const test = testPool({ maxConnections: 1 });
  const holder = await test.pool.lease();
  const granted: string[] = [];
  const names = ["low", "normal", "high", "low", "normal", "high", "admin"] as const;
  const leases = names.map((lane, i) => lineUp(test.pool, granted, `${lane} ${i}`, lane));
  holder.release();
  await serve(test, leases);
  assertEquals(granted, ["admin 6", "high 2", "high 5", "normal 1", "normal 4", "low 0", "low 3"]);
});

Deno.test("ResourcePool.lease() lets agingMs of waiting offset one lane", async () => {
  const test = testPool({ maxConnections: 1, agingMs: 1_000 });
  const holder = await test.pool.lease();
  const granted: string[] = [];
  const leases = [lineUp(test.pool, granted, "low", "low")];
  await test.clock.advance(1_999);
  leases.push(lineUp(test.pool, granted, "high before the bound", "high"));
  await test.clock.advance(2);
  leases.push(lineUp(test.pool, granted, "high after the bound", "high"));
  holder.release();
  await serve(test, leases);
  assertEquals(granted, ["high before the bound", "low", "high after the bound"]);
});

Deno.test("ResourcePool.lease() serves low within the aging bound under any load of high", async () => {
  const agingMs = 1_000;
  const test = testPool({ maxConnections: 2, agingMs, maxWaiters: 100_000 });
  const held: Lease<Thing>[] = [await test.pool.lease({ lane: "high" }), await test.pool.lease({ lane: "high" })];
  let servedAt = -1;
  const start = test.clock.now();
  test.pool.lease({ lane: "low", timeoutMs: Infinity }).then((lease) => {
    servedAt = test.clock.now() - start;
    held.push(lease);
  });
  // Two come for each one that is served: the queue of high only grows.
  for (let ms = 0; ms < 20_000 && servedAt < 0; ms += 10) {
    for (let i = 0; i < 2; i++) {
      test.pool.lease({ lane: "high", timeoutMs: Infinity }).then((lease) => held.push(lease));
    }
    await test.clock.advance(10);
    held.shift()?.release();
    await settle();
  }
  // Those who came within the bound go first: 2 in 10 ms for 2 × agingMs, both ends included, served at 1 in 10 ms.
  const ahead = 2 * (2 * agingMs / 10 + 1);
  assert(servedAt > 0 && servedAt <= (ahead + 1) * 10, `low was served after ${servedAt} ms`);
});

Deno.test("ResourcePool.lease() leases reservedConnections to admin only", async () => {
  const { pool } = testPool({ maxConnections: 3, reservedConnections: 1 });
  const users = [await pool.lease({ lane: "high" }), await pool.lease()];
  const third = pool.lease({ lane: "high" });
  assertEquals(await outcome(third), "pending");
  assertEquals(pool.tryLease("high"), undefined);
  const admin = await pool.lease({ lane: "admin" });
  assertEquals(counts(pool.getStats()), [3, 3, 0, 1]);
  admin.release();
  assertEquals(await outcome(third), "pending", "a slot that admin releases stays reserved");
  assertEquals(counts(pool.getStats()), [3, 2, 1, 1]);
  users[0]?.release();
  (await third).release();
});

Deno.test("ResourcePool.lease() keeps admin and the other lanes apart with reservedConnections", async () => {
  const { pool } = testPool({ maxConnections: 3, reservedConnections: 1 });
  const users = [await pool.lease(), await pool.lease()];
  const waiting = Array.from({ length: 50 }, () => pool.lease({ lane: "high" }));
  const admin = await pool.lease({ lane: "admin", timeoutMs: 0 });
  const more = Array.from({ length: 50 }, () => pool.lease({ lane: "admin" }));
  for (const user of users) user.release();
  await settle();
  assertEquals(pool.getStats().activeConnections, 3, "users have two, admin one");
  const first = await waiting[0];
  assertEquals(first?.lane, "high");
  admin.release();
  assertEquals((await more[0])?.lane, "admin");
  await Promise.allSettled([...waiting, ...more].map(async (lease) => (await lease).release()));
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
});

Deno.test("ResourcePool.lease() serves a newcomer whose lane has room before waiters whose lane has none", async () => {
  const { pool } = testPool({ maxConnections: 2, reservedConnections: 1 });
  const admin = await pool.lease({ lane: "admin" });
  const waiting = pool.lease({ lane: "admin" });
  const user = await pool.lease({ timeoutMs: 0 });
  user.release();
  (await pool.lease({ timeoutMs: 0 })).release();
  assertEquals(await outcome(waiting), "pending");
  admin.release();
  (await waiting).release();
});

Deno.test("ResourcePool creates no more resources than the lanes may lease", async () => {
  const { pool, factory } = testPool({ maxConnections: 4, reservedConnections: 2 });
  factory.holdCreations();
  for (let i = 0; i < 10; i++) pool.lease().catch(() => {});
  assertEquals(factory.attempts, 2);
  for (let i = 0; i < 10; i++) pool.lease({ lane: "admin" }).catch(() => {});
  assertEquals(factory.attempts, 4);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() and tryLease() reject an unknown lane", async () => {
  const { pool } = testPool();
  (await pool.lease()).release();
  const error = await assertRejects(
    () => pool.lease({ lane: "urgent" as Lane }),
    ConfigError,
    "admin, high, normal, low",
  );
  assertEquals(error.issues.map(({ path }) => path), ["lane"]);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});
