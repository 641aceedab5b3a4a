import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { HookTimeoutError, type Lease } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory, type Thing } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("ResourcePool.lease() waits when a destroy hook takes the last room of its lane", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({
    maxConnections: 2,
    reservedConnections: 1,
    maxLifetimeMs: 1_000,
    idleTimeoutMs: 60_000,
  }, factory);
  const old = await pool.lease();
  await clock.advance(500);
  const young = await pool.lease({ lane: "admin" });
  young.release();
  old.release();
  clock.freeze(600);
  let inner: Lease<Thing> | undefined;
  factory.onDestroy = () => void (inner ??= pool.tryLease());
  const outer = pool.lease();
  assert(inner);
  assertEquals([inner.resource.id, factory.destroyed.map(({ id }) => id)], [1, [0]]);
  assertEquals(await outcome(outer), "pending");
  assertEquals(pool.getStats().activeConnections, 1);
  inner.release();
  assertEquals((await outer).resource.id, 1);
});

Deno.test("CreateContext.invalidate() during destroy emits no error", async () => {
  const { pool, factory } = testPool();
  const errors: unknown[] = [];
  pool.on("error", ({ error }) => errors.push(error));
  factory.onDestroy = () => at(factory.contexts, 0).invalidate(new Error("the connection has ended"));
  (await pool.lease()).release({ destroy: true });
  await settle();
  assertEquals([errors, pool.getStats().totalDestroyed], [[], 1]);
});

Deno.test("ResourcePool holds a slot until its resource has closed", async () => {
  const factory = new ScriptedFactory();
  const closing = Promise.withResolvers<void>();
  factory.onDestroy = () => closing.promise;
  const { pool } = watchedPool({ maxConnections: 1 }, factory);
  (await pool.lease()).release({ destroy: true });
  const waiter = pool.lease();
  await settle();
  assertEquals(factory.attempts, 1);
  assertEquals(pool.getStats().closingConnections, 1);
  closing.resolve();
  (await waiter).release();
  assertEquals(factory.attempts, 2);
});

Deno.test("ResourcePool abandons, reports and counts a destroy that hangs at destroyTimeoutMs", async () => {
  const factory = new ScriptedFactory();
  factory.onDestroy = () => new Promise(() => {});
  const { pool, clock, destroyed, errors } = watchedPool({ maxConnections: 1, destroyTimeoutMs: 1_000 }, factory);
  (await pool.lease()).release({ destroy: true });
  const waiter = pool.lease();
  await clock.advance(999);
  assertEquals(await outcome(waiter), "pending");
  await clock.advance(1);
  (await waiter).release();
  assertEquals(destroyed.map(({ abandoned }) => abandoned), [true]);
  assertInstanceOf(at(errors, 0).error, HookTimeoutError);
  const { totalCreated, totalDestroyed, totalAbandoned, totalConnections } = pool.getStats();
  assertEquals([totalCreated, totalDestroyed, totalAbandoned, totalConnections], [2, 0, 1, 1]);
});

Deno.test("ResourcePool calls a destroy that throws once, and frees its slot", async () => {
  const factory = new ScriptedFactory();
  factory.onDestroy = () => {
    throw new Error("cannot close");
  };
  const { pool, errors } = watchedPool({ maxConnections: 1 }, factory);
  (await pool.lease()).release({ destroy: true });
  (await pool.lease()).release();
  assertEquals(factory.destroyed.length, 1);
  assertEquals(errors.map(({ source }) => source), ["destroy"]);
});

Deno.test("ResourcePool destroys each resource once when one destroy invalidates another resource", async () => {
  const factory = new ScriptedFactory();
  const { pool } = testPool({ minConnections: 3 }, factory);
  factory.onDestroy = () => {
    for (const { invalidate } of factory.contexts) invalidate(new Error("the tunnel they share is gone"));
  };
  await pool.shutdown(0);
  assertEquals(factory.destroyed.map(({ id }) => id).sort(), [0, 1, 2]);
  const { totalCreated, totalDestroyed } = pool.getStats();
  assertEquals([totalCreated, totalDestroyed], [3, 3]);
});

Deno.test("ResourcePool.lease() in a destroy hook exceeds no lane while expired resources close", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxConnections: 4, reservedConnections: 2, maxLifetimeMs: 1_000 }, factory);
  const old = await pool.lease({ lane: "admin" });
  await clock.advance(500);
  const young = [await pool.lease({ lane: "admin" }), await pool.lease()];
  const held: Lease<Thing>[] = [];
  for (const lease of [await pool.lease(), ...young, old]) lease.release();
  clock.freeze(600);
  factory.onDestroy = () => {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  };
  for (let i = 0; i < 3; i++) {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  }
  assertEquals(held.length, 2);
});

Deno.test("ResourcePool.lease() in a destroy hook exceeds no lane while an acquire looks for a resource", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxConnections: 4, reservedConnections: 3, maxLifetimeMs: 1_000 }, factory);
  const old = [await pool.lease({ lane: "admin" }), await pool.lease()];
  await clock.advance(500);
  const young = [await pool.lease({ lane: "admin" }), await pool.lease({ lane: "admin" })];
  // The sweep closes the first; the hook's lease finds the last, closes it as well, and in there is another lease.
  for (const lease of [at(old, 0), ...young, at(old, 1)]) lease.release();
  const held: Lease<Thing>[] = [];
  const take = () => {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  };
  factory.onDestroy = take;
  clock.freeze(600);
  take();
  assertEquals([factory.destroyed.length, held.length], [2, 1]);
  assertEquals(counts(pool.getStats()), [2, 1, 1, 0]);
});

Deno.test("ResourcePool refills the floor while a destroy hangs, if there is room", async () => {
  const factory = new ScriptedFactory();
  factory.onDestroy = () => new Promise(() => {});
  const { pool } = testPool({ maxConnections: 5, minConnections: 1 }, factory);
  (await pool.lease()).release({ destroy: true });
  assertEquals(pool.getStats().idleConnections, 1);
  await pool.shutdown(0);
});
