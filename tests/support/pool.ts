/**
 * A pool of scripted things on a clock that stands still.
 *
 * @module
 */
import { type PoolConfig, type PoolStats, ResourcePool } from "../../shared/pool/mod.ts";
import { FakeClock } from "./fake_clock.ts";
import { ScriptedFactory, type Thing } from "./scripted_factory.ts";

/** A pool and what it runs on. */
export interface TestPool {
  readonly pool: ResourcePool<Thing>;
  readonly factory: ScriptedFactory;
  readonly clock: FakeClock;
}

/** Creates a pool without resources, and without jitter by default. */
export function testPool(
  config: Partial<PoolConfig> = {},
  factory: ScriptedFactory = new ScriptedFactory(),
  random: () => number = () => 0,
): TestPool {
  const clock = new FakeClock();
  const pool = new ResourcePool<Thing>(factory, { minConnections: 0, ...config }, { clock, random });
  return { pool, factory, clock };
}

/** Total, active, idle and waiting, for short assertions. */
export function counts(stats: PoolStats): [total: number, active: number, idle: number, waiting: number] {
  return [stats.totalConnections, stats.activeConnections, stats.idleConnections, stats.waitingForConnection];
}

/** Returns the state of a promise after everything that needs no time has settled. */
export async function outcome<T>(promise: Promise<T>): Promise<"pending" | { value: T } | { error: unknown }> {
  let state: "pending" | { value: T } | { error: unknown } = "pending";
  promise.then((value) => state = { value }, (error) => state = { error });
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return state;
}
