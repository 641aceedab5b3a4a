/**
 * generic-pool, as its documentation says to use it.
 *
 * @module
 */
import { createPool } from "generic-pool";
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

function open(slots: number, timeoutMs: number | undefined): LendSession<Thing> {
  const make = thingMaker();
  const pool = createPool<Thing>({ create: () => Promise.resolve(make()), destroy: () => Promise.resolve() }, {
    max: slots,
    min: slots,
    ...(timeoutMs === undefined ? {} : { acquireTimeoutMillis: timeoutMs }),
  });
  return {
    kind: "lend",
    acquire: () => pool.acquire(),
    release: (thing) => void pool.release(thing),
    close: async (held) => {
      if (held) await pool.release(held);
      await pool.drain();
      await pool.clear();
    },
  };
}

/** generic-pool without a bound on waiting. */
export const genericPool: Contender = {
  id: "generic_pool",
  title: "generic-pool",
  role: "pool",
  timeout: "none",
  open: ({ slots }: SessionOptions) => open(slots, undefined),
};

/** generic-pool with an acquire timeout. */
export const genericPoolWithTimeout: Contender = {
  id: "generic_pool_timeout",
  title: "generic-pool, timeout",
  role: "pool",
  timeout: "each",
  open: ({ slots, timeoutMs }: SessionOptions) => open(slots, timeoutMs),
};
