import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  ConfigError,
  type Lease,
  type PoolConfig,
  PoolError,
  QueueFullError,
  ResourcePool,
} from "../../shared/pool/mod.ts";
import type { Timer } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory, type Thing } from "../support/scripted_factory.ts";

/** Begins `count` acquires; the list fills with the order in which they were granted. */
function queueUp(pool: ReturnType<typeof testPool>["pool"], count: number) {
  const granted: number[] = [];
  const leases: Promise<Lease<Thing>>[] = [];
  for (let i = 0; i < count; i++) {
    const lease = pool.lease();
    lease.then(() => granted.push(i), () => {});
    leases.push(lease);
  }
  return { granted, leases };
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

Deno.test("ResourcePool.lease() takes the most recently used resource first", async () => {
  const { pool } = testPool();
  const [a, b, c] = [await pool.lease(), await pool.lease(), await pool.lease()];
  const last = b.resource;
  a.release();
  c.release();
  b.release();
  assertStrictEquals((await pool.lease()).resource, last);
});

Deno.test("ResourcePool.lease() of an idle resource creates no timer and no waiter", async () => {
  const { pool, clock } = testPool();
  (await pool.lease()).release();
  const before = clock.timers;
  const lease = pool.lease();
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
  assertEquals(clock.timers, before);
  (await lease).release();
});

Deno.test("ResourcePool.lease() never exceeds maxConnections", async () => {
  const { pool, factory } = testPool({ maxConnections: 3 });
  const { granted, leases } = queueUp(pool, 10);
  await settle();
  assertEquals(granted, [0, 1, 2]);
  assertEquals(counts(pool.getStats()), [3, 3, 0, 7]);
  for (const lease of leases) (await lease).release();
  assertEquals(factory.attempts, 3);
  assertEquals(counts(pool.getStats()), [3, 0, 3, 0]);
});

Deno.test("ResourcePool.lease() serves first come, first served", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const { granted, leases } = queueUp(pool, 5);
  for (const lease of leases) (await lease).release();
  assertEquals(granted, [0, 1, 2, 3, 4]);
});

Deno.test("ResourcePool.tryLease() cannot take a released resource from its waiter", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const waiter = pool.lease();
  holder.release();
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0], "handed over before a promise could resolve");
  assertEquals(pool.tryLease(), undefined, "nothing is left for a newcomer");
  (await waiter).release();
});

Deno.test("ResourcePool.tryLease() does not pass waiters", async () => {
  const { pool, factory } = testPool({ maxConnections: 2 });
  const held = factory.holdCreations();
  const waiter = pool.lease();
  assertEquals(pool.tryLease(), undefined);
  at(held, 0).resolve(factory.make());
  (await waiter).release();
  const lease = pool.tryLease();
  assert(lease);
  lease.release();
});

Deno.test("AcquireTimeoutError describes the state of the pool", async () => {
  const { pool, clock } = testPool({ maxConnections: 2, acquireTimeoutMs: 5_000 });
  await pool.lease();
  await clock.advance(1_000);
  await pool.lease();
  const waiter = pool.lease();
  waiter.catch(() => {});
  await clock.advance(4_999);
  assertEquals(await outcome(waiter), "pending");
  await clock.advance(1);
  const error = await assertRejects(() => waiter, AcquireTimeoutError, "Connection acquire timeout");
  assertEquals(error.code, "ACQUIRE_TIMEOUT");
  for (
    const part of ["total 2", "active 2", "idle 0", "creating 0", "waiting 1", "limit 2", "longest holder 6000 ms"]
  ) {
    assertStringIncludes(error.message, part);
  }
  assertEquals(pool.getStats().totalTimeouts, 1);
  assertEquals(pool.getStats().waitingForConnection, 0);
});

Deno.test("ResourcePool.lease() rejects after its own timeoutMs", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  await pool.lease();
  const [short, long, forever] = [
    pool.lease({ timeoutMs: 10 }),
    pool.lease({ timeoutMs: 60_000 }),
    pool.lease({ timeoutMs: Infinity }),
  ];
  long.catch(() => {});
  short.catch(() => {});
  await clock.advance(10);
  await assertRejects(() => short, AcquireTimeoutError);
  await clock.advance(10_000_000);
  await assertRejects(() => long, AcquireTimeoutError);
  assertEquals(await outcome(forever), "pending");
});

Deno.test("ResourcePool.lease() with timeoutMs 0 is served at once or rejected", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const lease = await pool.lease({ timeoutMs: 0 });
  await assertRejects(() => pool.lease({ timeoutMs: 0 }), AcquireTimeoutError);
  lease.release();
  await clock.advance(1_000);
  (await pool.lease({ timeoutMs: 0 })).release();
});

for (const timeoutMs of [-1, NaN]) {
  Deno.test(`ResourcePool.lease() rejects a timeoutMs of ${timeoutMs} ms is refused by name`, async () => {
    const { pool } = testPool({ maxConnections: 1 });
    await pool.lease();
    const error = await assertRejects(() => pool.lease({ timeoutMs }), ConfigError, String(timeoutMs));
    assertEquals(error.issues.map((issue) => issue.path), ["timeoutMs"]);
  });
}

Deno.test("ResourcePool.lease() frees the position of an expired waiter", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const early = pool.lease({ timeoutMs: 10 });
  early.catch(() => {});
  const late = pool.lease();
  await clock.advance(10);
  holder.release();
  (await late).release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.lease() does not serve a waiter past its deadline after a freeze", async () => {
  const { pool, clock } = testPool({ maxConnections: 1, acquireTimeoutMs: 1_000 });
  const holder = await pool.lease();
  const stale = pool.lease();
  stale.catch(() => {});
  clock.freeze(60_000);
  const fresh = pool.lease();
  holder.release();
  await assertRejects(() => stale, AcquireTimeoutError);
  (await fresh).release();
});

Deno.test("ResourcePool.lease() rejects at an abort and loses no resource", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const controller = new AbortController();
  const waiter = pool.lease({ signal: controller.signal });
  const behind = pool.lease();
  const reason = new Error("caller went away");
  controller.abort(reason);
  assertEquals(pool.getStats().waitingForConnection, 1);
  const error = await assertRejects(() => waiter, AcquireAbortedError);
  assertStrictEquals(error.cause, reason);
  holder.release();
  (await behind).release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.lease() rejects an aborted signal though a resource is idle", async () => {
  const { pool } = testPool();
  (await pool.lease()).release();
  await assertRejects(() => pool.lease({ signal: AbortSignal.abort() }), AcquireAbortedError);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.lease() ignores an abort after the grant", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const controller = new AbortController();
  const waiter = pool.lease({ signal: controller.signal });
  holder.release();
  controller.abort();
  const lease = await waiter;
  assert(lease.active);
  lease.release();
});

Deno.test("ResourcePool.lease() listens to its signal only while it waits", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const signal = new AbortController().signal;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => (listeners++, Reflect.apply(addEventListener, signal, args));
  signal.removeEventListener = (...args: unknown[]) => (listeners--, Reflect.apply(removeEventListener, signal, args));
  const holder = await pool.lease({ signal });
  assertEquals(listeners, 0, "one that is served at once listens to nothing");
  const waiter = pool.lease({ signal });
  assertEquals(listeners, 1);
  holder.release();
  (await waiter).release();
  assertEquals(listeners, 0);
});

Deno.test("ResourcePool.lease() rejects with QueueFullError beyond maxWaiters", async () => {
  const { pool } = testPool({ maxConnections: 1, maxWaiters: 2 });
  const holder = await pool.lease();
  const [first, second] = [pool.lease(), pool.lease()];
  const error = await assertRejects(() => pool.lease(), QueueFullError, "maxWaiters: 2");
  assertEquals(error.code, "QUEUE_FULL");
  holder.release();
  (await first).release();
  (await second).release();
});

Deno.test("ResourcePool.lease() does not count waiters with a running creation against maxWaiters", async () => {
  const { pool, factory } = testPool({ maxConnections: 1, maxWaiters: 0 });
  const held = factory.holdCreations();
  const first = pool.lease();
  assertEquals(await outcome(first), "pending");
  await assertRejects(() => pool.lease(), QueueFullError);
  at(held, 0).resolve(factory.make());
  (await first).release();
});

Deno.test("ResourcePool.lease() uses one timer for a thousand waiters", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  await pool.lease();
  const before = clock.timers;
  for (let i = 0; i < 1_000; i++) pool.lease().catch(() => {});
  assertEquals(clock.timers - before, 1);
  await clock.advance(5_000);
  assertEquals(pool.getStats().totalTimeouts, 1_000);
});

Deno.test("ResourcePool.acquire() and release() pass the resource itself", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const thing = await pool.acquire();
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
  pool.release(thing);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
  assertEquals(pool.getStats().totalAcquired, 1);
  assertEquals(pool.getStats().totalReleased, 1);
});

Deno.test("ResourcePool.getStats() returns an immutable snapshot", async () => {
  const { pool } = testPool();
  const before = pool.getStats();
  assert(Object.isFrozen(before));
  await pool.lease();
  assertEquals(before.activeConnections, 0);
});

Deno.test("acquireTimeout() creates what the constructor of AcquireTimeoutError creates", async () => {
  const { pool, clock } = testPool({ maxConnections: 1, acquireTimeoutMs: 100 });
  const lease = await pool.lease();
  const expired = pool.lease().then(() => undefined, (error: unknown) => error);
  await clock.advance(100);
  const error = await expired;
  const constructed = new AcquireTimeoutError("text");
  assert(error instanceof AcquireTimeoutError && error instanceof PoolError && error instanceof Error);
  assertEquals([error.name, error.code], [constructed.name, constructed.code]);
  assertEquals(Object.keys(error), Object.keys(constructed));
  assertEquals(Object.prototype.toString.call(error), "[object Error]");
  lease.release();
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() rejects a signal that is not an AbortSignal, and leaves no waiter", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  await assertRejects(() => pool.lease({ signal: new AbortController() as never }), ConfigError, "AbortSignal");
  assertEquals(pool.getStats().waitingForConnection, 0);
  holder.release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool.lease() frees the positions of waiters that expired during a freeze", async () => {
  const { pool, clock } = testPool({ maxConnections: 1, maxWaiters: 1 });
  await pool.lease();
  const old = pool.lease();
  old.catch(() => {});
  clock.freeze(60_000);
  const fresh = pool.lease();
  const r = await outcome(fresh);
  assertEquals(r, "pending");
});

Deno.test("ResourcePool.lease() rejects options that are not an object", async () => {
  const { pool } = testPool({});
  await assertRejects(() => pool.lease(null as never), ConfigError, "options");
});

Deno.test("ResourcePool rejects invalid arguments, whether a resource is idle or not", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  (await pool.lease()).release();
  await assertRejects(() => pool.lease({ timeoutMs: "5" as unknown as number }), ConfigError, "is string");
  await assertRejects(() => pool.lease({ timeoutMs: NaN }), ConfigError, "is NaN");
  assertThrows(() => pool.tryLease("urgent" as never), ConfigError, "admin, high, normal, low");
  await assertRejects(() => pool.shutdown(NaN), ConfigError, "deadlineMs");
  assert((await pool.lease()).active, "a refused shutdown shuts nothing down");
});

Deno.test("ResourcePool.lease() keeps a deadline whose timer fires early", async () => {
  const { pool, clock } = hastyPool({ maxConnections: 1, acquireTimeoutMs: 100 });
  const holder = await pool.lease();
  const waiting = pool.lease();
  await clock.advance(99.5);
  assertEquals(await outcome(waiting), "pending");
  assertEquals(pool.getStats().totalTimeouts, 0);
  await clock.advance(0.5);
  assertEquals(pool.getStats().totalTimeouts, 1);
  await waiting.catch(() => {});
  holder.release();
  await pool.shutdown(0);
});
