/**
 * Our pool core, with everything on: acquire timeout, stats, lanes, events.
 *
 * @module
 */
import { type Lease, ResourcePool } from "../../../shared/pool/mod.ts";
import { Histogram } from "../histogram.ts";
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

/** Makes our pool for a benchmark: the defaults, but for the size, the timeout and room for every waiter. */
export function openPool({ slots, timeoutMs }: SessionOptions): ResourcePool<Thing> {
  return new ResourcePool<Thing>(
    { create: thingMaker(), destroy: () => {} },
    { maxConnections: slots, minConnections: slots, acquireTimeoutMs: timeoutMs, maxWaiters: 10_000_000 },
  );
}

/** `lease()` and `release()`. */
export const ours: Contender = {
  id: "ours",
  title: "ours",
  role: "ours",
  timeout: "shared",
  open(options: SessionOptions): LendSession<Lease<Thing>> {
    const pool = openPool(options);
    return {
      kind: "lend",
      acquire: () => pool.lease(),
      release: (lease) => lease.release(),
      close: (held) => {
        held?.release();
        return pool.shutdown(0);
      },
    };
  },
};

/** The same with a metrics subscriber: a counter and a histogram of the time waited, and of the time held. */
export const oursWithSubscriber: Contender = {
  id: "ours_subscriber",
  title: "ours, with a metrics subscriber",
  role: "ours",
  timeout: "shared",
  open(options: SessionOptions): LendSession<Lease<Thing>> {
    const pool = openPool(options);
    const waits = new Histogram();
    const uses = new Histogram();
    pool.record({ waitTime: (ms) => waits.observe(ms), useTime: (ms) => uses.observe(ms) });
    return {
      kind: "lend",
      acquire: () => pool.lease(),
      release: (lease) => lease.release(),
      close: async (held) => {
        held?.release();
        await pool.shutdown(0);
        if (waits.count !== uses.count) throw new Error(`${waits.count} acquired, ${uses.count} released`);
      },
    };
  },
};
