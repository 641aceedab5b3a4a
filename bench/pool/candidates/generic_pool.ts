/**
 * generic-pool, used as documented.
 *
 * @module
 */
import { createPool } from "generic-pool";
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

function open(slots: number, timeoutMs: number | undefined): OpenPool<Thing> {
  const make = thingFactory();
  const pool = createPool<Thing>({ create: () => Promise.resolve(make()), destroy: () => Promise.resolve() }, {
    max: slots,
    min: slots,
    ...(timeoutMs === undefined ? {} : { acquireTimeoutMillis: timeoutMs }),
  });
  return {
    kind: "lease",
    acquire: () => pool.acquire(),
    release: (thing) => void pool.release(thing),
    close: async (held) => {
      if (held) await pool.release(held);
      await pool.drain();
      await pool.clear();
    },
  };
}

/** generic-pool without an acquire timeout. */
export const genericPool: PoolCandidate = {
  id: "generic_pool",
  title: "generic-pool",
  role: "pool",
  timeout: "none",
  open: ({ slots }: OpenOptions) => open(slots, undefined),
};

/** generic-pool with an acquire timeout. */
export const genericPoolWithTimeout: PoolCandidate = {
  id: "generic_pool_timeout",
  title: "generic-pool, timeout",
  role: "pool",
  timeout: "each",
  open: ({ slots, timeoutMs }: OpenOptions) => open(slots, timeoutMs),
};
