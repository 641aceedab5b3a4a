import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { AcquireTimeoutError, CreateTimeoutError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { testPool } from "../support/pool.ts";
import { ScriptedFactory, transient } from "../support/scripted_factory.ts";

/** Returns the error of a promise that has not rejected yet. */
function errorOf(promise: Promise<unknown>): { error: unknown } {
  const caught: { error: unknown } = { error: undefined };
  promise.then(() => caught.error = "resolved", (error) => caught.error = error);
  return caught;
}

Deno.test("ResourcePool.lease() rejects with the creation's error once creating has failed for createRetryMs", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(transient(`refused ${factory.attempts}`));
  const config = { maxConnections: 1, createRetryMs: 2_000, acquireTimeoutMs: 30_000 };
  const { pool, clock } = testPool(config, factory);
  const start = clock.now();
  const waiters = Array.from({ length: 5 }, () => errorOf(pool.lease()));
  await clock.advance(1_999);
  assert(factory.attempts > 2);
  assertEquals(waiters.map(({ error }) => error), Array(5).fill(undefined));
  await clock.advance(2_000);
  const error = waiters[0]?.error;
  assertInstanceOf(error, Error);
  assertEquals(error.message, `refused ${factory.attempts}`);
  for (const waiter of waiters) assertStrictEquals(waiter.error, error);
  assertEquals(clock.now() - start, 3_999);

  // The next one is rejected by the next attempt, and the first success ends it.
  const next = errorOf(pool.lease());
  await clock.advance(2_000);
  assertInstanceOf(next.error, Error);
  factory.onCreate = () => factory.make();
  const lease = pool.lease();
  await clock.advance(2_000);
  (await lease).release({ destroy: true });
  factory.onCreate = () => Promise.reject(transient());
  const again = errorOf(pool.lease());
  await clock.advance(1_500);
  assertEquals(again.error, undefined);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() rejects with CreateTimeoutError when the first attempt takes createRetryMs", async () => {
  const factory = new ScriptedFactory();
  factory.holdCreations();
  const { pool, clock } = testPool({ createRetryMs: 2_000, createTimeoutMs: 2_000, acquireTimeoutMs: 30_000 }, factory);
  const waiter = errorOf(pool.lease());
  await clock.advance(1_999);
  assertEquals(waiter.error, undefined);
  await clock.advance(1);
  assertInstanceOf(waiter.error, CreateTimeoutError);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() goes on waiting for a leased resource after createRetryMs", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ createRetryMs: 100, acquireTimeoutMs: 10_000 }, factory);
  const holder = await pool.lease();
  factory.onCreate = () => Promise.reject(transient());
  const served = pool.lease();
  const expired = errorOf(pool.lease());
  await clock.advance(5_000);
  holder.release();
  await served;
  await clock.advance(5_000);
  assertInstanceOf(expired.error, AcquireTimeoutError);
  assertInstanceOf(expired.error.cause, Error);
  await settle();
  await pool.shutdown(0);
});

Deno.test("ResourcePool.lease() retries until its deadline with createRetryMs Infinity, the default", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(transient());
  const { pool, clock } = testPool({ acquireTimeoutMs: 60_000 }, factory);
  const waiter = errorOf(pool.lease());
  await clock.advance(59_999);
  assertEquals(waiter.error, undefined);
  await clock.advance(1);
  assertInstanceOf(waiter.error, AcquireTimeoutError);
});
