/**
 * lightning-pool, used as documented.
 *
 * @module
 */
import { Pool } from "lightning-pool";
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

/** The value it reads as "no timeout". */
const UNBOUNDED = 0;

function open(slots: number, acquireTimeoutMillis: number): OpenPool<Thing> {
  // With a minimum it checks that in a separate tick after each acquire; without one it is faster.
  const pool = new Pool<Thing>({ create: thingFactory(), destroy: () => {} }, {
    max: slots,
    maxQueue: 10_000_000,
    acquireTimeoutMillis,
  });
  pool.start();
  return {
    kind: "lease",
    acquire: () => pool.acquire(),
    release: (thing) => pool.release(thing),
    // It keeps expired requests in the queue, and a release that meets thousands of them overflows the stack.
    close: () => pool.closeAsync(true),
  };
}

/** lightning-pool without an acquire timeout. */
export const lightningPool: PoolCandidate = {
  id: "lightning_pool",
  title: "lightning-pool",
  role: "pool",
  timeout: "none",
  open: ({ slots }: OpenOptions) => open(slots, UNBOUNDED),
};

/** lightning-pool with an acquire timeout. */
export const lightningPoolWithTimeout: PoolCandidate = {
  id: "lightning_pool_timeout",
  title: "lightning-pool, timeout",
  role: "pool",
  timeout: "each",
  open: ({ slots, timeoutMs }: OpenOptions) => open(slots, timeoutMs),
};
