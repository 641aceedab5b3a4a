import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  CreateFailedError,
  type PoolConfig,
  ResourcePool,
} from "../../shared/pool/mod.ts";
import type { Timer } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, type Deferred, ScriptedFactory, type Thing, transient } from "../support/scripted_factory.ts";

/** A pool whose creations each wait for the test. */
function heldPool(config: Parameters<typeof testPool>[0] = {}) {
  const factory = new ScriptedFactory();
  const held: Deferred<Thing>[] = factory.holdCreations();
  return { held, ...testPool(config, factory) };
}

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

Deno.test("ResourcePool parks a new resource whose waiter has left", async () => {
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

Deno.test("ResourcePool creates nothing for waiters that have left", async () => {
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

Deno.test("ResourcePool hands a released resource to a waiter whose own is still being created", async () => {
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

Deno.test("ResourcePool creates no more resources than there are waiters", () => {
  const { pool, factory } = heldPool({ maxConnections: 10 });
  for (let i = 0; i < 4; i++) pool.lease().catch(() => {});
  assertEquals(factory.attempts, 4);
  assertEquals(pool.getStats().creatingConnections, 4);
});

Deno.test("ResourcePool.lease() retries a transient creation failure after the backoff, within its deadline", async () => {
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

Deno.test("ResourcePool.lease() waits as long as a failed creation asks, and is not rejected for it", async () => {
  const { pool, factory, clock } = testPool({ createRetryDelayMs: 100, acquireTimeoutMs: 5_000 });
  const times: number[] = [];
  const start = clock.now();
  factory.onCreate = () => {
    times.push(clock.now() - start);
    if (times.length === 1) throw Object.assign(transient(), { retryAfterMs: 3_000 });
    return factory.make();
  };
  const waiter = pool.lease();
  await clock.advance(2_999);
  assertEquals([times, pool.getStats().waitingForConnection], [[0], 1]);
  await clock.advance(1);
  (await waiter).release();
  assertEquals(times, [0, 3_000]);
});

Deno.test("ResourcePool jitters createRetryDelayMs upwards and caps it at twenty times itself", async () => {
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

Deno.test("ResourcePool.lease() rejects at its deadline with the failed creation as the cause", async () => {
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

Deno.test("ResourcePool.lease() rejects at once on a permanent creation failure, with its cause", async () => {
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

Deno.test("ResourcePool.lease() rejects every waiter on a permanent failure when nothing else could serve them", async () => {
  const { pool, held, factory } = heldPool({ maxConnections: 1 });
  const waiters = [pool.lease(), pool.lease(), pool.lease()];
  for (const waiter of waiters) waiter.catch(() => {});
  at(held, 0).reject(new Error("password authentication failed"));
  for (const waiter of waiters) await assertRejects(() => waiter, CreateFailedError);
  assertEquals(factory.attempts, 1, "refused credentials are not tried once per waiter");
});

Deno.test("ResourcePool.lease() keeps waiters on a permanent failure that a leased resource will serve", async () => {
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

Deno.test("ResourcePool keeps its capacity after failed creations", async () => {
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

Deno.test("ResourcePool creates the floor at once, and again when it breaks", async () => {
  const { pool, factory } = testPool({ minConnections: 3 });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  (await pool.lease()).release({ destroy: true });
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
  assertEquals(factory.attempts, 4);
});

Deno.test("ResourcePool retries a floor that cannot be created with backoff", async () => {
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

Deno.test("ResourcePool destroys a resource that is invalid at creation, and creates another one", async () => {
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

Deno.test("AcquireTimeoutError names the last creation error until a creation succeeds", async () => {
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

Deno.test("ResourcePool.lease() rejects one acquire on a permanent failure while another creation may serve the others", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool } = testPool({ maxConnections: 2 }, factory);
  const waiting = [pool.lease(), pool.lease()];
  at(held, 0).reject(Object.assign(new Error("bad password"), { code: "28P01" }));
  await assertRejects(() => at(waiting, 0), CreateFailedError);
  assertEquals(await outcome(at(waiting, 1)), "pending");
  at(held, 1).resolve(factory.make());
  (await at(waiting, 1)).release();
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() rejects a crowd on one permanent failure, without an attempt for each", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(new Error("password authentication failed"));
  const { pool } = testPool({ maxConnections: 10 }, factory);
  const waiters = Array.from({ length: 1000 }, () => pool.lease().catch((error: unknown) => error));
  const errors = await Promise.all(waiters);
  assert(errors.every((error) => error instanceof CreateFailedError));
  assertEquals(factory.attempts, 10);
});

Deno.test("ResourcePool.lease() rejects an acquire that is aborted while a resource is created for it", async () => {
  const factory = new ScriptedFactory();
  const controller = new AbortController();
  factory.onCreate = () => {
    controller.abort(new Error("gone"));
    return new Promise(() => {});
  };
  const { pool } = testPool({ maxConnections: 1 }, factory);
  await assertRejects(() => pool.lease({ signal: controller.signal }), AcquireAbortedError);
  assertEquals(pool.getStats().waitingForConnection, 0);
  await pool.shutdown(0);
});

Deno.test("ResourcePool counts creations that fail together as one failure", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool, clock } = testPool({ maxConnections: 10, createRetryDelayMs: 100 }, factory);
  const waiters = Array.from({ length: 10 }, () => pool.lease());
  for (const creation of held) creation.reject(transient());
  await settle();
  factory.onCreate = () => factory.make();
  await clock.advance(99);
  assertEquals(factory.attempts, 10);
  await clock.advance(1);
  assertEquals(factory.attempts, 20);
  for (const waiter of waiters) (await waiter).release();
});

Deno.test("ResourcePool replaces a resource that is invalid at creation after the pause", async () => {
  const { pool, factory, clock } = testPool({ createRetryDelayMs: 100 });
  factory.onCreate = ({ invalidate }) => {
    invalidate(new Error("died"));
    return factory.make();
  };
  const waiter = pool.lease();
  assertEquals(factory.attempts, 1);
  factory.onCreate = () => factory.make();
  await clock.advance(99);
  assertEquals(factory.attempts, 1);
  await clock.advance(1);
  (await waiter).release();
});

Deno.test("ResourcePool.lease() waits for a leased resource though the floor cannot be created", async () => {
  const factory = new ScriptedFactory();
  const { pool } = testPool({ maxConnections: 3, reservedConnections: 2 }, factory);
  const holder = await pool.lease();
  const waiter = pool.lease();
  factory.onCreate = () => {
    throw new Error("bad key");
  };
  pool.resize({ minConnections: 2 });
  assertEquals(await outcome(waiter), "pending");
  holder.release();
  (await waiter).release();
  await pool.shutdown(0);
});

Deno.test("ResourcePool waits for the end of a pause whose timer fires early", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => {
    throw transient();
  };
  const { pool, clock } = hastyPool({ createRetryDelayMs: 100 }, factory);
  const waiting = pool.lease();
  factory.onCreate = () => factory.make();
  await clock.advance(99.5);
  assertEquals([factory.attempts, await outcome(waiting)], [1, "pending"]);
  await clock.advance(0.5);
  assertEquals(factory.attempts, 2);
  (await waiting).release();
  await pool.shutdown(0);
});
