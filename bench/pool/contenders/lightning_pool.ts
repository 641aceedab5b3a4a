/**
 * lightning-pool, as its documentation says to use it.
 *
 * @module
 */
import { Pool } from "lightning-pool";
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

/** What it takes for: a wait may last. */
const UNBOUNDED = 0;

function open(slots: number, acquireTimeoutMillis: number): LendSession<Thing> {
  // With a floor of resources it looks at it in a tick of its own after each acquire; without, it is faster.
  const pool = new Pool<Thing>({ create: thingMaker(), destroy: () => {} }, {
    max: slots,
    maxQueue: 10_000_000,
    acquireTimeoutMillis,
  });
  pool.start();
  return {
    kind: "lend",
    acquire: () => pool.acquire(),
    release: (thing) => pool.release(thing),
    // It keeps expired requests in line, and a release that meets thousands of them recurses into a stack overflow.
    close: () => pool.closeAsync(true),
  };
}

/** lightning-pool without a bound on waiting. */
export const lightningPool: Contender = {
  id: "lightning_pool",
  title: "lightning-pool",
  role: "pool",
  timeout: "none",
  open: ({ slots }: SessionOptions) => open(slots, UNBOUNDED),
};

/** lightning-pool with an acquire timeout. */
export const lightningPoolWithTimeout: Contender = {
  id: "lightning_pool_timeout",
  title: "lightning-pool, timeout",
  role: "pool",
  timeout: "each",
  open: ({ slots, timeoutMs }: SessionOptions) => open(slots, timeoutMs),
};
