/**
 * The probe slot: `lane: "probe"`.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  CreateFailedError,
  DoubleReleaseError,
  type ErrorSource,
  LateReleaseError,
  LeaseRevokedError,
  PoolClosedError,
  QueueFullError,
  ResourceInvalidError,
} from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, transient } from "../support/scripted_factory.ts";

const probe = { lane: "probe" } as const;

Deno.test("ResourcePool.lease() serves a probe when the pool is full and has waiters, and counts nothing", async () => {
  const { pool, factory } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const waiter = pool.lease();
  const before = pool.getStats();
  const lease = await pool.lease(probe);
  assertEquals([lease.active, lease.lane, lease.id], [true, "probe", 0]);
  assert(lease.resource !== holder.resource);
  assertEquals(pool.getStats(), before);
  assertEquals(await outcome(waiter), "pending");
  lease.release();
  assertEquals(factory.destroyed, [{ id: 1 }]);
  assertEquals(pool.getStats(), before);
  assertThrows(() => lease.release(), DoubleReleaseError);
  holder.release();
  (await waiter).release();
});

Deno.test("ResourcePool.lease() takes no idle resource for a probe and leaves none", async () => {
  const { pool, factory } = testPool();
  (await pool.lease()).release();
  const before = pool.getStats();
  await using lease = await pool.lease(probe);
  assertEquals(lease.resource.id, 1);
  assertEquals(pool.getStats(), before);
  assertEquals(counts(before), [1, 0, 1, 0]);
  assertEquals(factory.attempts, 2);
});

Deno.test("ResourcePool.lease() runs one probe at a time, first come, first served", async () => {
  const { pool, factory } = testPool();
  const closing = Promise.withResolvers<void>();
  factory.onDestroy = () => closing.promise;
  const first = await pool.lease(probe);
  const [second, third] = [pool.lease(probe), pool.lease(probe)];
  assertEquals(await outcome(second), "pending");
  first.release();
  assertEquals(await outcome(second), "pending", "the slot is held until its resource has closed");
  closing.resolve();
  const lease = await second;
  assertEquals(await outcome(third), "pending");
  assertEquals(factory.attempts, 2);
  lease.release();
  (await third).release();
  assertEquals(factory.destroyed.length, 3);
});

Deno.test("ResourcePool.tryLease() finds no probe", () => {
  const { pool, factory } = testPool();
  assertEquals(pool.tryLease("probe"), undefined);
  assertEquals(factory.attempts, 0);
});

Deno.test("ResourcePool.acquire() leases a probe, which release() destroys", async () => {
  const { pool, factory } = testPool();
  const thing = await pool.acquire(probe);
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
  pool.release(thing);
  assertEquals(factory.destroyed, [thing]);
});

Deno.test("ResourcePool.lease() rejects a probe whose creation fails, and pauses no other creation", async () => {
  const { pool, factory } = testPool();
  const errors: ErrorSource[] = [];
  pool.on("error", ({ source }) => errors.push(source));
  const failure = transient();
  factory.onCreate = () => {
    throw failure;
  };
  const [first, second] = [pool.lease(probe), pool.lease(probe)];
  const error = await assertRejects(() => first, CreateFailedError);
  assertStrictEquals(error.cause, failure);
  await assertRejects(() => second, CreateFailedError);
  factory.onCreate = () => factory.make();
  (await pool.lease({ timeoutMs: 0 })).release();
  assertEquals(errors, ["create", "create"]);
});

Deno.test("ResourcePool.lease() rejects a probe whose creation is overdue, and destroys what comes late", async () => {
  const { pool, factory, clock } = testPool({ createTimeoutMs: 100, destroyTimeoutMs: 100 });
  const held = factory.holdCreations();
  const first = pool.lease(probe);
  const second = pool.lease(probe);
  first.catch(() => {});
  await clock.advance(100);
  await assertRejects(() => first, CreateFailedError, "createTimeoutMs");
  assertEquals(factory.attempts, 1, "what is overdue keeps the slot");
  at(held, 0).resolve(factory.make());
  await settle();
  assertEquals(factory.destroyed, [{ id: 0 }]);
  assertEquals(factory.attempts, 2);
  second.catch(() => {});
  await clock.advance(100);
  await assertRejects(() => second, CreateFailedError);
  await clock.advance(100);
  at(held, 1).resolve(factory.make());
  await settle();
  assertEquals(factory.destroyed.length, 2, "what comes when its slot was given up is destroyed as well");
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
});

Deno.test("ResourcePool.lease() rejects a probe at its deadline, at its abort, and beyond maxWaiters", async () => {
  const { pool, factory, clock } = testPool({ maxWaiters: 1 });
  const lease = await pool.lease(probe);
  await assertRejects(() => pool.lease({ ...probe, timeoutMs: 0 }), AcquireTimeoutError, "Connection acquire timeout");
  const timed = pool.lease({ ...probe, timeoutMs: 50 });
  const controller = new AbortController();
  const aborted = pool.lease({ ...probe, signal: controller.signal, timeoutMs: Infinity });
  await assertRejects(() => pool.lease(probe), QueueFullError);
  timed.catch(() => {});
  aborted.catch(() => {});
  await clock.advance(50);
  await assertRejects(() => timed, AcquireTimeoutError, "within 50 ms");
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, AcquireAbortedError);
  assertEquals(clock.timers, 0);
  lease.release();
  assertEquals(factory.attempts, 1);
});

Deno.test("ResourcePool.lease() destroys the resource of a probe that left before it was created", async () => {
  const { pool, factory, clock } = testPool();
  const held = factory.holdCreations();
  const left = pool.lease({ ...probe, timeoutMs: 50 });
  left.catch(() => {});
  await clock.advance(50);
  await assertRejects(() => left, AcquireTimeoutError);
  at(held, 0).resolve(factory.make());
  await settle();
  assertEquals(factory.destroyed, [{ id: 0 }]);
});

Deno.test("Lease.onLost() of a probe is called when its resource dies", async () => {
  const { pool, factory } = testPool();
  const sources: ErrorSource[] = [];
  pool.on("error", ({ source }) => sources.push(source));
  const lease = await pool.lease(probe);
  const lost: unknown[] = [];
  lease.onLost((reason) => lost.push(reason));
  at(factory.contexts, 0).invalidate(new Error("it died"));
  assert(lost[0] instanceof ResourceInvalidError);
  lease.release();
  await settle();
  assertEquals(sources, ["invalidate"]);
  factory.onCreate = ({ invalidate }) => {
    invalidate();
    return factory.make();
  };
  await assertRejects(() => pool.lease(probe), CreateFailedError, "became invalid");
  assertEquals(factory.destroyed.length, 2);
});

Deno.test("ResourcePool.shutdown() rejects waiting probes, lets one finish, and revokes it at the deadline", async () => {
  const { pool, factory, clock } = testPool();
  const lease = await pool.lease(probe);
  const waiter = pool.lease(probe);
  const closed = pool.shutdown(100);
  await assertRejects(() => waiter, PoolClosedError);
  await assertRejects(() => pool.lease(probe), PoolClosedError);
  assertEquals(await outcome(closed), "pending");
  await clock.advance(100);
  await closed;
  assert(lease.signal.reason instanceof LeaseRevokedError);
  assertThrows(() => lease.release(), LateReleaseError);
  assertEquals(factory.destroyed, [{ id: 0 }]);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool.shutdown() ends once the probe has been released", async () => {
  const { pool, factory } = testPool();
  const lease = await pool.lease(probe);
  const closed = pool.shutdown(100);
  lease.release();
  await closed;
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("ResourcePool.shutdown() aborts the creation of a probe", async () => {
  const { pool, factory } = testPool();
  const held = factory.holdCreations();
  const waiter = pool.lease(probe);
  const closed = pool.shutdown(100);
  await assertRejects(() => waiter, PoolClosedError);
  assert(at(factory.contexts, 0).signal.aborted);
  at(held, 0).reject(new Error("aborted"));
  await closed;
});

Deno.test("ResourcePool reports a probe's failed destroy, and frees the slot", async () => {
  const { pool, factory } = testPool();
  const sources: ErrorSource[] = [];
  pool.on("error", ({ source }) => sources.push(source));
  factory.onDestroy = () => {
    throw new Error("cannot close");
  };
  (await pool.lease(probe)).release();
  (await pool.lease(probe)).release();
  await settle();
  assertEquals(sources, ["destroy", "destroy"]);
  assertEquals(pool.getStats().totalDestroyed, 0);
});
