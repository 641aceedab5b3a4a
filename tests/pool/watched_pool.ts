/**
 * A pool that records its events, for tests.
 *
 * @module
 */
import type { PoolEvents } from "../../shared/pool/mod.ts";
import { testPool } from "../support/pool.ts";
import { ScriptedFactory } from "../support/scripted_factory.ts";

type Destroyed = PoolEvents["destroyed"];

/** A pool of {@linkcode watchedPool}. */
export type WatchedPool = ReturnType<typeof testPool> & {
  destroyed: Destroyed[];
  errors: PoolEvents["error"][];
  reasons: () => Destroyed["reason"][];
};

/** Creates a pool that records its `destroyed` and `error` events. */
export function watchedPool(
  config: Parameters<typeof testPool>[0] = {},
  factory = new ScriptedFactory(),
  random = () => 0,
): WatchedPool {
  const test = testPool(config, factory, random);
  const destroyed: Destroyed[] = [];
  const errors: PoolEvents["error"][] = [];
  test.pool.on("destroyed", (event) => destroyed.push(event));
  test.pool.on("error", (event) => errors.push(event));
  return { ...test, destroyed, errors, reasons: () => destroyed.map(({ reason }) => reason) };
}
