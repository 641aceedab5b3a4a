/**
 * A pool under observation, for tests.
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

/** A pool whose destructions are written down. */
export function watchedPool(
  config: Parameters<typeof testPool>[0] = {},
  factory = new ScriptedFactory(),
  random = () => 0,
): WatchedPool {
  const made = testPool(config, factory, random);
  const destroyed: Destroyed[] = [];
  const errors: PoolEvents["error"][] = [];
  made.pool.on("destroyed", (event) => destroyed.push(event));
  made.pool.on("error", (event) => errors.push(event));
  return { ...made, destroyed, errors, reasons: () => destroyed.map(({ reason }) => reason) };
}
