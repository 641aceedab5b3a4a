/** Hooks that use or shut down the pool while it works. */
import { assertEquals, assertRejects } from "@std/assert";
import { PoolClosedError, type PoolConfig } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { testPool } from "../support/pool.ts";
import { ScriptedFactory, transient } from "../support/scripted_factory.ts";

/** Creates a pool with this many idle resources. */
async function withIdle(count: number, config: Partial<PoolConfig>, factory = new ScriptedFactory()) {
  const rig = testPool({ maxConnections: count, ...config }, factory);
  const leases = await Promise.all(Array.from({ length: count }, () => rig.pool.lease()));
  for (const lease of leases) lease.release();
  await settle();
  return rig;
}

Deno.test("ResourcePool sweeps no more when a destroy hook of its sweep shuts it down", async () => {
  const { pool, factory, clock } = await withIdle(2, {
    maxLifetimeMs: 1_000,
    lifetimeJitter: 0,
    idleTimeoutMs: 60_000,
  });
  const held = await pool.lease();
  let closing: Promise<void> | undefined;
  factory.onDestroy = () => void (closing ??= pool.shutdown(5_000));
  await clock.advance(1_001);
  // That of the shutdown's deadline.
  assertEquals(clock.timers, 1);
  held.release();
  await closing;
  assertEquals([clock.timers, factory.destroyed.length], [0, 2]);
});

Deno.test("ResourcePool validates no resource that a validate hook of another one has closed", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => true;
  const { pool, clock } = await withIdle(4, { validateAfterIdleMs: 10, idleTimeoutMs: 60_000 }, factory);
  const validated: number[] = [];
  let closing: Promise<void> | undefined;
  factory.validate = ({ id }) => {
    validated.push(id);
    // The second one is validated because the first one was dead.
    if (validated.length === 2) closing = pool.shutdown(0);
    return false;
  };
  clock.freeze(100);
  await assertRejects(() => pool.lease(), PoolClosedError);
  await closing;
  assertEquals(validated.length, 2);
  assertEquals(factory.destroyed.length, 4);
  assertEquals(new Set(factory.destroyed).size, 4);
  assertEquals(clock.timers, 0);
});

Deno.test("ResourcePool sets no timer for a pause that its own end shuts down", async () => {
  const { pool, factory, clock } = testPool({ maxConnections: 1, createRetryDelayMs: 100, createRetryMs: Infinity });
  let attempts = 0;
  let closing: Promise<void> | undefined;
  factory.onCreate = () => {
    if (++attempts === 2) closing = pool.shutdown(0);
    throw transient();
  };
  const waiting = assertRejects(() => pool.lease(), PoolClosedError);
  await clock.advance(101);
  await waiting;
  await closing;
  assertEquals([attempts, clock.timers], [2, 0]);
});

Deno.test("ResourcePool.resize() while a shutdown waits for leases schedules no sweep", async () => {
  const { pool, clock } = testPool({ maxConnections: 2, maxLifetimeMs: 1_000, lifetimeJitter: 0 });
  const held = await pool.lease();
  const closing = pool.shutdown(5_000);
  const timers = clock.timers;
  pool.resize({ maxConnections: 5 });
  assertEquals(clock.timers, timers);
  held.release();
  await closing;
  assertEquals(clock.timers, 0);
});
