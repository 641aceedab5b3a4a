import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, type Lane, type Lease } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import type { Thing } from "../support/scripted_factory.ts";

type Pool = ReturnType<typeof testPool>["pool"];

/** Lines acquires up; `granted` fills in the order in which they are served. */
function lineUp(pool: Pool, granted: string[], name: string, lane: Lane): Promise<Lease<Thing>> {
  const lease = pool.lease({ lane, timeoutMs: Infinity });
  lease.then(() => granted.push(name), () => {});
  return lease;
}

/** Gives leases back one after the other, `stepMs` apart, until nobody waits. */
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

Deno.test("lanes are served high, normal, low, and first come, first served within each", async () => {
  const test = testPool({ maxConnections: 1 });
  const holder = await test.pool.lease();
  const granted: string[] = [];
  const names = ["low", "normal", "high", "low", "normal", "high", "admin"] as const;
  const leases = names.map((lane, i) => lineUp(test.pool, granted, `${lane} ${i}`, lane));
  holder.release();
  await serve(test, leases);
  assertEquals(granted, ["admin 6", "high 2", "high 5", "normal 1", "normal 4", "low 0", "low 3"]);
});

Deno.test("a waiter moves up one lane for each agingMs of waiting", async () => {
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

Deno.test("low is served within the bound under any load of high", async () => {
  const agingMs = 1_000;
  const test = testPool({ maxConnections: 2, agingMs, maxWaiters: 100_000 });
  const held: Lease<Thing>[] = [await test.pool.lease({ lane: "high" }), await test.pool.lease({ lane: "high" })];
  let servedAt = -1;
  const start = test.clock.now();
  test.pool.lease({ lane: "low", timeoutMs: Infinity }).then((lease) => {
    servedAt = test.clock.now() - start;
    held.push(lease);
  });
  // Two come for each one that is served: the line of high only grows.
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

Deno.test("reserved connections are lent to admin only", async () => {
  const { pool } = testPool({ maxConnections: 3, reservedConnections: 1 });
  const users = [await pool.lease({ lane: "high" }), await pool.lease()];
  const third = pool.lease({ lane: "high" });
  assertEquals(await outcome(third), "pending");
  assertEquals(pool.tryLease("high"), undefined);
  const admin = await pool.lease({ lane: "admin" });
  assertEquals(counts(pool.getStats()), [3, 3, 0, 1]);
  admin.release();
  assertEquals(await outcome(third), "pending", "what admin gives back stays reserved");
  assertEquals(counts(pool.getStats()), [3, 2, 1, 1]);
  users[0]?.release();
  (await third).release();
});

Deno.test("admin never waits behind users, and never keeps them waiting", async () => {
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

Deno.test("a newcomer whose lane has room passes those whose lane has none", async () => {
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

Deno.test("no more is made than the lanes may hold", async () => {
  const { pool, factory } = testPool({ maxConnections: 4, reservedConnections: 2 });
  factory.holdCreations();
  for (let i = 0; i < 10; i++) pool.lease().catch(() => {});
  assertEquals(factory.attempts, 2);
  for (let i = 0; i < 10; i++) pool.lease({ lane: "admin" }).catch(() => {});
  assertEquals(factory.attempts, 4);
  await pool.shutdown(0);
});

Deno.test("a lane that does not exist is refused by name", async () => {
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

Deno.test("a pool grows at run time and serves those who wait", async () => {
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

Deno.test("a pool shrunk below what is out lends nothing until enough is back, and closes the rest", async () => {
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

Deno.test("a shrink closes what is free at once, the least recently used first", async () => {
  const { pool, factory } = testPool({ maxConnections: 4 });
  const held = [await pool.lease(), await pool.lease(), await pool.lease(), await pool.lease()];
  for (const lease of held) lease.release();
  pool.resize({ maxConnections: 1 });
  assertEquals(factory.destroyed.map(({ id }) => id), [0, 1, 2]);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("a pool shrunk and grown at once ends where it was told to", async () => {
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

Deno.test("a resource that was being made when the pool shrank is closed unless somebody may have it", async () => {
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

Deno.test("a raised floor is filled, a lowered one ages out", async () => {
  const { pool, clock } = testPool({ maxConnections: 5, idleTimeoutMs: 1_000 });
  pool.resize({ minConnections: 3 });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  pool.resize({ minConnections: 1 });
  await clock.advance(2_000);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("a reservation made at run time holds from then on", async () => {
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

Deno.test("a floor that is not given follows a lower limit", () => {
  const { pool } = testPool({ maxConnections: 5, minConnections: 3 });
  pool.resize({ maxConnections: 2 });
  assertEquals(pool.limits, { maxConnections: 2, minConnections: 2, reservedConnections: 0 });
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
});

Deno.test("bad limits are listed and change nothing", async () => {
  const { pool } = testPool({ maxConnections: 3 });
  const bad = { maxConnections: 0, minConnections: -1, reservedConnections: 1.5 };
  const error = assertThrows(() => pool.resize(bad), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), Object.keys(bad));
  assertThrows(() => pool.resize({ minConnections: 4 }), ConfigError, "at most maxConnections (3)");
  assertThrows(() => pool.resize({ reservedConnections: 4 }), ConfigError, "at most maxConnections (3)");
  assertEquals(pool.limits, { maxConnections: 3, minConnections: 0, reservedConnections: 0 });
  await pool.shutdown();
});

Deno.test("a resize is told, with the bounds before and after", async () => {
  const { pool } = testPool({ maxConnections: 3 });
  const told: unknown[] = [];
  pool.on("resized", (event) => told.push(event));
  pool.resize({ maxConnections: 5 });
  await settle();
  assertEquals(told, [{
    limits: { maxConnections: 5, minConnections: 0, reservedConnections: 0 },
    before: { maxConnections: 3, minConnections: 0, reservedConnections: 0 },
  }]);
});
