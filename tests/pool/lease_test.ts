import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  AcquireTimeoutError,
  DoubleReleaseError,
  ForeignReleaseError,
  LeaseReleasedError,
  type PoolEvents,
  ResourceInvalidError,
} from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, testPool } from "../support/pool.ts";
import { at } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("Lease[Symbol.asyncDispose]() releases, after an error too", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  await assertRejects(
    async () => {
      await using lease = await pool.lease();
      assert(lease.active);
      throw new Error("inside");
    },
    Error,
    "inside",
  );
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("Lease.onLost() is called once, with the first reason", async () => {
  const { pool, factory } = testPool();
  const lease = await pool.lease();
  const reasons: unknown[] = [];
  lease.onLost((reason) => reasons.push(reason));
  at(factory.contexts, 0).invalidate(new Error("it died"));
  await pool.shutdown(0);
  assertEquals(reasons, [lease.signal.reason]);
  assert(reasons[0] instanceof ResourceInvalidError);
});

Deno.test("Lease.onLost() calls at once when the resource was already lost", async () => {
  const { pool, factory } = testPool({});
  const p = pool.lease();
  at(factory.contexts, 0).invalidate(new Error("died"));
  const lease = await p;
  let calls = 0;
  lease.onLost(() => calls++);
  assert(lease.signal.aborted);
  assertEquals(calls, 1);
});

Deno.test("Lease.signal aborts when the resource dies, and the release destroys it", async () => {
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

Deno.test("Lease.signal is aborted when it is read after the resource died", async () => {
  const { pool, factory } = watchedPool();
  const lease = await pool.lease();
  at(factory.contexts, 0).invalidate(new Error("socket closed"));
  assertInstanceOf(lease.signal.reason, ResourceInvalidError);
  lease.release();
});

Deno.test("ResourcePool emits leaked at the release of a lease that passed the threshold during a freeze", async () => {
  const { pool, clock } = testPool({ leakThresholdMs: 1_000 });
  const events: string[] = [];
  pool.on("leaked", () => events.push("leaked"));
  pool.on("returned", () => events.push("returned"));
  const lease = await pool.lease();
  clock.freeze(100_000);
  lease.release();
  await settle();
  assertEquals(events, ["leaked", "returned"]);
});

Deno.test("ResourcePool.release() throws DoubleReleaseError for a resource that was released as broken", async () => {
  const { pool } = testPool();
  const thing = await pool.acquire();
  pool.release(thing, { destroy: true });
  const error = assertThrows(() => pool.release(thing), DoubleReleaseError);
  assertEquals(error.code, "DOUBLE_RELEASE");
});

Deno.test("Lease.release() throws DoubleReleaseError the second time, and changes nothing for the next holder", async () => {
  const { pool } = watchedPool({ maxConnections: 1 });
  const lease = await pool.lease();
  lease.release();
  const next = await pool.lease();
  assertThrows(() => lease.release(), DoubleReleaseError);
  await lease[Symbol.asyncDispose]();
  assert(next.active);
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
});

Deno.test("Lease.resource throws LeaseReleasedError after the release", async () => {
  const { pool } = watchedPool();
  const lease = await pool.lease();
  lease.release();
  assertThrows(() => lease.resource, LeaseReleasedError);
});

Deno.test("ResourcePool.release() throws for a resource released twice or leased by another pool", async () => {
  const { pool } = watchedPool();
  const { pool: other } = watchedPool();
  const thing = await pool.acquire();
  assertThrows(() => other.release(thing), ForeignReleaseError);
  assertThrows(() => pool.release({ id: 0 }), ForeignReleaseError);
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
  pool.release(thing);
  assertThrows(() => pool.release(thing), DoubleReleaseError);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("ResourcePool emits leaked once for a lease older than leakThresholdMs, and returned at its release", async () => {
  const { pool, clock } = watchedPool({ leakThresholdMs: 60_000, captureLeaseStacks: true });
  const leaked: PoolEvents["leaked"][] = [];
  const returned: PoolEvents["returned"][] = [];
  pool.on("leaked", (event) => leaked.push(event));
  pool.on("returned", (event) => returned.push(event));
  const lease = await pool.lease();
  await clock.advance(59_999);
  assertEquals(leaked.length, 0);
  await clock.advance(300_000);
  assertEquals(leaked.length, 1);
  assertStringIncludes(at(leaked, 0).stack ?? "", "lease_test");
  assertEquals(returned.length, 0);
  lease.release();
  await settle();
  assertEquals(returned.map(({ heldMs }) => heldMs), [359_999]);
});

Deno.test("ResourcePool emits leaked with the stack of the acquire, not of the release that granted it", async () => {
  const { pool, clock } = watchedPool({ maxConnections: 1, captureLeaseStacks: true, leakThresholdMs: 1_000 });
  const stacks: (string | undefined)[] = [];
  pool.on("leaked", ({ stack }) => stacks.push(stack));
  const holder = await pool.lease();
  const patiently = () => pool.lease();
  const waiter = patiently();
  const release = () => holder.release();
  release();
  await waiter;
  await clock.advance(1_000);
  assertStringIncludes(at(stacks, 0) ?? "", "patiently");
  assertEquals(stacks[0]?.includes("at release"), false);
});

Deno.test("ResourcePool emits leaked without a stack unless captureLeaseStacks is set", async () => {
  const { pool, clock } = watchedPool({ leakThresholdMs: 1_000 });
  const stacks: (string | undefined)[] = [];
  pool.on("leaked", ({ stack }) => stacks.push(stack));
  await pool.lease();
  await clock.advance(1_000);
  assertEquals(stacks, [undefined]);
});

Deno.test("Lease cannot be changed by its holder, casts included", async () => {
  const { pool } = testPool({ maxConnections: 2, reservedConnections: 1 });
  const lease = await pool.lease();
  const reached = lease as unknown as Record<string, unknown>;
  for (const name of ["revoke", "warn", "markLeaked", "notifyLost", "slot"]) assertEquals(reached[name], undefined);
  const prototype = Object.getPrototypeOf(lease);
  assert(Object.isFrozen(prototype));
  assertThrows(() => prototype.release = () => {}, TypeError);
  Object.defineProperty(lease, "lane", { value: "admin" });
  lease.release();
  // The room of the lanes is as it was: one lease in each.
  const held = [await pool.lease({ timeoutMs: 0 }), await pool.lease({ lane: "admin", timeoutMs: 0 })];
  assertEquals(held.map(({ active }) => active), [true, true]);
  await assertRejects(() => pool.lease({ timeoutMs: 0 }), AcquireTimeoutError);
});

Deno.test("Lease.release() with options that throw leaves the lease active", async () => {
  const { pool } = testPool();
  const lease = await pool.lease();
  const options = {
    get destroy(): boolean {
      throw new RangeError("from a getter");
    },
  };
  assertThrows(() => lease.release(options), RangeError);
  assert(lease.active);
  lease.release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("Lease.onLost() calls every listener, though one throws", async () => {
  const { pool, factory } = testPool();
  const errors: unknown[] = [];
  pool.on("error", ({ error, source }) => source === "listener" && errors.push(error));
  const lease = await pool.lease();
  const called: string[] = [];
  lease.onLost(() => {
    called.push("first");
    throw new Error("from onLost");
  });
  lease.onLost(() => called.push("second"));
  at(factory.contexts, 0).invalidate();
  await settle();
  assertEquals([called, errors.length], [["first", "second"], 1]);
});

Deno.test("ResourcePool.limits is frozen, before a resize() and after", () => {
  const { pool } = testPool();
  assert(Object.isFrozen(pool.limits));
  pool.resize({ maxConnections: 3 });
  assert(Object.isFrozen(pool.limits));
});

Deno.test("ResourcePool.lease() reads each option once", async () => {
  const { pool } = testPool();
  let reads = 0;
  const options = {
    get lane(): "normal" {
      return reads++ === 0 ? "normal" : "no lane" as "normal";
    },
  };
  (await pool.lease(options)).release();
  assertEquals([reads, pool.getStats().totalReleased], [1, 1]);
});
