import { assert, assertEquals } from "@std/assert";
import { CreateTimeoutError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, testPool } from "../support/pool.ts";
import { at, type Deferred, ScriptedFactory, type Thing } from "../support/scripted_factory.ts";

/** A pool whose creations each wait for the test. */
function heldPool(config: Parameters<typeof testPool>[0] = {}) {
  const factory = new ScriptedFactory();
  const held: Deferred<Thing>[] = factory.holdCreations();
  return { held, ...testPool(config, factory) };
}

Deno.test("ResourcePool aborts a creation that hangs at createTimeoutMs and retries", async () => {
  const { pool, factory, held, clock } = heldPool({
    createTimeoutMs: 1_000,
    acquireTimeoutMs: 5_000,
    createRetryDelayMs: 100,
  });
  const waiter = pool.lease();
  await clock.advance(999);
  assertEquals(at(factory.contexts, 0).signal.aborted, false);
  await clock.advance(1);
  const { signal } = at(factory.contexts, 0);
  assert(signal.reason instanceof CreateTimeoutError);
  await clock.advance(100);
  at(held, 1).resolve(factory.make());
  (await waiter).release();
});

Deno.test("ResourcePool holds the slot of an overdue creation until it settles", async () => {
  const { pool, factory, held, clock } = heldPool({
    maxConnections: 1,
    createTimeoutMs: 1_000,
    acquireTimeoutMs: 60_000,
  });
  const waiter = pool.lease();
  await clock.advance(2_000);
  assertEquals(factory.attempts, 1, "the far side may still hold what was begun");
  assertEquals(pool.getStats().creatingConnections, 1);
  at(held, 0).reject(new Error("aborted"));
  await settle();
  assertEquals(factory.attempts, 2);
  at(held, 1).resolve(factory.make());
  (await waiter).release();
});

Deno.test("ResourcePool destroys a resource that arrives after its creation timed out", async () => {
  const { pool, factory, held, clock } = heldPool({
    maxConnections: 1,
    createTimeoutMs: 1_000,
    acquireTimeoutMs: 60_000,
  });
  const waiter = pool.lease();
  await clock.advance(1_500);
  const late = factory.make();
  at(held, 0).resolve(late);
  await settle();
  assertEquals(factory.destroyed, [late]);
  at(held, 1).resolve(factory.make());
  const lease = await waiter;
  assertEquals(lease.resource.id, 1);
  lease.release();
  const { totalCreated, totalDestroyed, totalConnections } = pool.getStats();
  assertEquals([totalCreated, totalDestroyed, totalConnections], [2, 1, 1]);
});

Deno.test("ResourcePool frees the slot of a creation that never settles after destroyTimeoutMs, and destroys what arrives later", async () => {
  const { pool, factory, held, clock } = heldPool({
    maxConnections: 1,
    createTimeoutMs: 1_000,
    destroyTimeoutMs: 2_000,
    acquireTimeoutMs: 60_000,
  });
  const waiter = pool.lease();
  await clock.advance(2_999);
  assertEquals(factory.attempts, 1);
  await clock.advance(1);
  assertEquals(factory.attempts, 2);
  at(held, 1).resolve(factory.make());
  (await waiter).release();
  const late = factory.make();
  at(held, 0).resolve(late);
  await settle();
  assertEquals(factory.destroyed, [late]);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
  assertEquals(pool.getStats().totalCreated, pool.getStats().totalDestroyed + 1);
});
