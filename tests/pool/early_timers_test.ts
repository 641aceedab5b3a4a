// Timers of a runtime may run a moment before their time; nothing is forgotten for it.
import { assertEquals } from "@std/assert";
import { type PoolConfig, ResourcePool } from "../../shared/pool/mod.ts";
import type { Timer } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { outcome } from "../support/pool.ts";
import { ScriptedFactory, type Thing, transient } from "../support/scripted_factory.ts";

/** A clock whose timers run half a millisecond early, where they have so long. */
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

Deno.test("a sweep that comes early comes again", async () => {
  const { pool, factory, clock } = hastyPool({ maxLifetimeMs: 100 });
  (await pool.lease()).release();
  await clock.advance(99.5);
  assertEquals(factory.destroyed.length, 0);
  await clock.advance(0.5);
  assertEquals(factory.destroyed.length, 1);
});

Deno.test("a pause whose timer comes early is waited for to its end", async () => {
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

Deno.test("a deadline whose timer comes early is kept", async () => {
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
