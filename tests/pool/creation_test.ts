import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { AcquireTimeoutError, CreateFailedError, CreateTimeoutError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, type Deferred, ScriptedFactory, type Thing, transient } from "../support/scripted_factory.ts";

/** A pool whose creations each wait for the test. */
function heldPool(config: Parameters<typeof testPool>[0] = {}) {
  const factory = new ScriptedFactory();
  const held: Deferred<Thing>[] = factory.holdCreations();
  return { held, ...testPool(config, factory) };
}

Deno.test("a resource whose waiter has left parks idle", async () => {
  const { pool, factory, held, clock } = heldPool();
  const waiter = pool.lease({ timeoutMs: 100 });
  waiter.catch(() => {});
  await clock.advance(100);
  await assertRejects(() => waiter, AcquireTimeoutError);
  at(held, 0).resolve(factory.make());
  await settle();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
  (await pool.lease()).release();
  assertEquals(factory.attempts, 1);
});

Deno.test("nothing is made for those who no longer wait", async () => {
  const { pool, factory, held } = heldPool({ maxConnections: 1 });
  const controller = new AbortController();
  const first = pool.lease();
  const second = pool.lease({ signal: controller.signal });
  second.catch(() => {});
  controller.abort();
  at(held, 0).resolve(factory.make());
  (await first).release({ destroy: true });
  await settle();
  assertEquals(factory.attempts, 1);
});

Deno.test("a resource that comes back serves the one whose own is still being made", async () => {
  const { pool, factory, held } = heldPool({ maxConnections: 2 });
  const first = pool.lease();
  at(held, 0).resolve(factory.make());
  const holder = await first;
  const second = pool.lease();
  holder.release();
  const lease = await second;
  assertEquals(lease.resource.id, 0);
  at(held, 1).resolve(factory.make());
  await settle();
  assertEquals(counts(pool.getStats()), [2, 1, 1, 0]);
  lease.release();
});

Deno.test("no more are made than wait", () => {
  const { pool, factory } = heldPool({ maxConnections: 10 });
  for (let i = 0; i < 4; i++) pool.lease().catch(() => {});
  assertEquals(factory.attempts, 4);
  assertEquals(pool.getStats().creatingConnections, 4);
});

Deno.test("a transient failure is tried again after the backoff, inside the waiter's deadline", async () => {
  const { pool, factory, clock } = testPool({ createRetryDelayMs: 100 });
  const times: number[] = [];
  const start = clock.now();
  factory.onCreate = () => {
    times.push(clock.now() - start);
    if (times.length < 4) throw transient();
    return factory.make();
  };
  const waiter = pool.lease();
  await clock.advance(5_000);
  (await waiter).release();
  assertEquals(times, [0, 100, 300, 700]);
});

Deno.test("the backoff is jittered upwards and capped at twenty times its base", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ createRetryDelayMs: 100, acquireTimeoutMs: 60_000 }, factory, () => 0.5);
  const times: number[] = [];
  const start = clock.now();
  factory.onCreate = () => {
    times.push(clock.now() - start);
    throw transient();
  };
  pool.lease().catch(() => {});
  await clock.advance(20_000);
  const gaps = times.slice(1).map((time, i) => time - at(times, i));
  assertEquals(gaps.slice(0, 6), [125, 250, 500, 1_000, 2_000, 2_000]);
});

Deno.test("an acquire that times out while creation fails has that failure as its cause", async () => {
  const { pool, factory, clock } = testPool({ acquireTimeoutMs: 1_000 });
  const failure = transient("refused by 10.0.0.1");
  factory.onCreate = () => {
    throw failure;
  };
  const waiter = pool.lease();
  waiter.catch(() => {});
  await clock.advance(1_000);
  const error = await assertRejects(() => waiter, AcquireTimeoutError, "refused by 10.0.0.1");
  assertStrictEquals(error.cause, failure);
});

Deno.test("a failure for good reaches its caller at once, with its cause, untried again", async () => {
  const { pool, factory } = testPool();
  const failure = new Error("Invalid API key");
  factory.onCreate = () => {
    throw failure;
  };
  const error = await assertRejects(() => pool.lease(), CreateFailedError, "Invalid API key");
  assertStrictEquals(error.cause, failure);
  assertEquals(error.code, "CREATE_FAILED");
  assertEquals(factory.attempts, 1);
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
});

Deno.test("a failure for good refuses all who wait when nothing else could serve them", async () => {
  const { pool, held, factory } = heldPool({ maxConnections: 1 });
  const waiters = [pool.lease(), pool.lease(), pool.lease()];
  for (const waiter of waiters) waiter.catch(() => {});
  at(held, 0).reject(new Error("password authentication failed"));
  for (const waiter of waiters) await assertRejects(() => waiter, CreateFailedError);
  assertEquals(factory.attempts, 1, "refused credentials are not tried once per waiter");
});

Deno.test("a failure for good spares those whom a lent resource will serve", async () => {
  const { pool, held, factory } = heldPool({ maxConnections: 2 });
  const first = pool.lease();
  at(held, 0).resolve(factory.make());
  const holder = await first;
  const [second, third] = [pool.lease(), pool.lease()];
  second.catch(() => {});
  at(held, 1).reject(new Error("no"));
  await assertRejects(() => second, CreateFailedError);
  assertEquals(await outcome(third), "pending");
  holder.release();
  (await third).release();
});

Deno.test("failed creations leave the capacity unchanged", async () => {
  const { pool, factory, clock } = testPool({ maxConnections: 2, createRetryDelayMs: 10 });
  let failures = 25;
  factory.onCreate = () => {
    if (failures-- > 0) throw transient();
    return factory.make();
  };
  const waiters = [pool.lease({ timeoutMs: 60_000 }), pool.lease({ timeoutMs: 60_000 })];
  await clock.advance(60_000);
  const leases = await Promise.all(waiters);
  assertEquals(counts(pool.getStats()), [2, 2, 0, 0]);
  for (const lease of leases) lease.release();
});

Deno.test("a creation that hangs is aborted at createTimeoutMs and tried again", async () => {
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

Deno.test("a hung creation keeps its slot until it settles", async () => {
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

Deno.test("a resource that comes after its creation timed out is destroyed, not lent", async () => {
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

Deno.test("a creation that never settles frees its slot after destroyTimeoutMs, and what it makes later is destroyed", async () => {
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

Deno.test("the floor is made at once and made again when it breaks", async () => {
  const { pool, factory } = testPool({ minConnections: 3 });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  (await pool.lease()).release({ destroy: true });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  assertEquals(factory.attempts, 4);
});

Deno.test("a floor that cannot be made is tried again with backoff, not in a loop", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => {
    throw new Error("bad key");
  };
  const { pool, clock } = testPool({ minConnections: 2, createRetryDelayMs: 100 }, factory);
  assertEquals(factory.attempts, 1);
  await clock.advance(10_000);
  assert(factory.attempts < 12, `${factory.attempts} attempts`);
  factory.onCreate = () => factory.make();
  await clock.advance(2_000);
  assertEquals(counts(pool.getStats()), [2, 0, 2, 0]);
});

Deno.test("a creation that invalidates itself before it is done is closed and made anew", async () => {
  const { pool, factory, clock } = testPool();
  let first = true;
  factory.onCreate = ({ invalidate }) => {
    if (first) invalidate(new Error("socket closed"));
    first = false;
    return factory.make();
  };
  const waiter = pool.lease();
  await clock.advance(100);
  assertEquals((await waiter).resource.id, 1);
  assertEquals(factory.destroyed.map(({ id }) => id), [0]);
});

Deno.test("the last creation error is said once and forgotten after a success", async () => {
  const { pool, factory, clock } = testPool({ maxConnections: 1, acquireTimeoutMs: 1_000 });
  let fail = true;
  factory.onCreate = () => {
    if (fail) throw transient("was refused");
    return factory.make();
  };
  const waiter = pool.lease();
  fail = false;
  await clock.advance(100);
  await waiter;
  const second = pool.lease();
  second.catch(() => {});
  await clock.advance(1_000);
  const error = await assertRejects(() => second, AcquireTimeoutError);
  assertEquals(error.cause, undefined);
  assertEquals(error.message.includes("was refused"), false);
  assertStringIncludes(error.message, "longest holder");
});
