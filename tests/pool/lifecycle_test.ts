import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { HookTimeoutError, ResourceInvalidError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("a resource unused for idleTimeoutMs is closed, down to minConnections", async () => {
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

Deno.test("what is used stays: surplus ages out from the least recently used end", async () => {
  const { pool, clock, destroyed } = watchedPool({ idleTimeoutMs: 1_000 });
  const leases = [await pool.lease(), await pool.lease()];
  for (const lease of leases) lease.release();
  for (let i = 0; i < 10; i++) {
    await clock.advance(300);
    (await pool.lease()).release();
  }
  assertEquals(destroyed.map(({ resourceId }) => resourceId), [1]);
});

Deno.test("expiry is judged at the next use of an isolate that was frozen", async () => {
  const { pool, clock, reasons } = watchedPool({ idleTimeoutMs: 1_000, maxLifetimeMs: 10_000 });
  for (const lease of [await pool.lease(), await pool.lease(), await pool.lease()]) lease.release();
  clock.freeze(600_000);
  const lease = await pool.lease();
  assertEquals(lease.resource.id, 3, "the old ones are not lent");
  assertEquals(reasons(), ["lifetime", "lifetime", "lifetime"]);
  lease.release();
});

Deno.test("a resource older than its lifetime is not lent again", async () => {
  const { pool, clock, reasons } = watchedPool({ maxLifetimeMs: 1_000, idleTimeoutMs: 60_000 });
  const lease = await pool.lease();
  await clock.advance(5_000);
  assertEquals(reasons(), [], "a lent one is left alone");
  lease.release();
  await settle();
  assertEquals(reasons(), ["lifetime"]);
});

Deno.test("lifetimes are shortened by a jitter drawn once, at birth", async () => {
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

Deno.test("an expired floor is made anew", async () => {
  const { pool, clock, factory } = watchedPool({ minConnections: 2, maxLifetimeMs: 1_000, idleTimeoutMs: 500 });
  (await pool.lease()).release();
  await clock.advance(10_000);
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
  assert(factory.attempts >= 10);
});

Deno.test("a resource is lent maxUses times at most", async () => {
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

Deno.test("a resource is validated only after validateAfterIdleMs", async () => {
  const factory = new ScriptedFactory();
  const validated: number[] = [];
  factory.validate = ({ id }) => (validated.push(id), true);
  const { pool, clock } = watchedPool({ validateAfterIdleMs: 500 }, factory);
  (await pool.lease()).release();
  await clock.advance(499);
  (await pool.lease()).release();
  assertEquals(validated, []);
  await clock.advance(500);
  (await pool.lease()).release();
  assertEquals(validated, [0]);
});

for (
  const [how, validate] of [
    ["says no", () => false],
    ["throws", () => {
      throw new Error("gone");
    }],
    ["rejects", () => Promise.reject(new Error("gone"))],
  ] as const
) {
  Deno.test(`a resource whose validation ${how} is destroyed and replaced`, async () => {
    const factory = new ScriptedFactory();
    factory.validate = validate;
    const { pool, clock, reasons } = watchedPool({}, factory);
    (await pool.lease()).release();
    await clock.advance(1_000);
    const lease = await pool.lease();
    assertEquals(lease.resource.id, 1);
    assertEquals(reasons(), ["invalid"]);
    lease.release();
  });
}

Deno.test("a validation that hangs is given up at its timeout", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => new Promise(() => {});
  const { pool, clock, errors } = watchedPool({ validateTimeoutMs: 1_000 }, factory);
  (await pool.lease()).release();
  await clock.advance(1_000);
  const waiter = pool.lease();
  await clock.advance(999);
  assertEquals(await outcome(waiter), "pending");
  await clock.advance(1);
  assertEquals((await waiter).resource.id, 1);
  assertInstanceOf(at(errors, 0).error, HookTimeoutError);
});

Deno.test("a resource is lent again only after its reset", async () => {
  const factory = new ScriptedFactory();
  const reset = Promise.withResolvers<void>();
  factory.reset = () => reset.promise;
  const { pool } = watchedPool({ maxConnections: 1 }, factory);
  (await pool.lease()).release();
  const waiter = pool.lease();
  assertEquals(await outcome(waiter), "pending");
  assertEquals(counts(pool.getStats()), [1, 0, 0, 1]);
  reset.resolve();
  (await waiter).release();
});

Deno.test("a resource whose reset fails or hangs is destroyed and replaced", async () => {
  const factory = new ScriptedFactory();
  factory.reset = ({ id }) => id === 0 ? Promise.reject(new Error("dirty")) : new Promise(() => {});
  const { pool, clock, reasons } = watchedPool({ maxConnections: 1, resetTimeoutMs: 1_000 }, factory);
  (await pool.lease()).release();
  const second = await pool.lease();
  assertEquals(second.resource.id, 1);
  second.release();
  const third = pool.lease();
  await clock.advance(1_000);
  assertEquals((await third).resource.id, 2);
  assertEquals(reasons(), ["invalid", "invalid"]);
});

Deno.test("a slot is taken until its resource has closed", async () => {
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

Deno.test("a destroy that hangs is given up after destroyTimeoutMs, reported and counted", async () => {
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

Deno.test("a destroy that throws frees its slot and is called once", async () => {
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

Deno.test("an idle resource that dies is replaced, never lent", async () => {
  const { pool, factory, reasons } = watchedPool({ minConnections: 1 });
  at(factory.contexts, 0).invalidate(new Error("socket closed"));
  await settle();
  assertEquals(reasons(), ["invalid"]);
  assertEquals((await pool.lease()).resource.id, 1);
});

Deno.test("a lent resource that dies tells its holder and is destroyed at release", async () => {
  const { pool, factory, reasons } = watchedPool();
  const lease = await pool.lease();
  const early = lease.signal;
  const { invalidate } = at(factory.contexts, 0);
  invalidate(new Error("socket closed"));
  invalidate(new Error("again"));
  assertInstanceOf(early.reason, ResourceInvalidError);
  await settle();
  assertEquals(reasons(), []);
  lease.release();
  await settle();
  assertEquals(reasons(), ["invalid"]);
  invalidate(new Error("once more"));
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("a lease that asks for its signal late still learns that its resource died", async () => {
  const { pool, factory } = watchedPool();
  const lease = await pool.lease();
  at(factory.contexts, 0).invalidate(new Error("socket closed"));
  assertInstanceOf(lease.signal.reason, ResourceInvalidError);
  lease.release();
});
