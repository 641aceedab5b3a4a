/**
 * Our pool core, with everything compiled in: acquire timeout, stats, lanes, events.
 *
 * @module
 */
import { type Lease, ResourcePool } from "../../../shared/pool/mod.ts";
import { Histogram } from "../histogram.ts";
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

type Pool = ResourcePool<Thing>;

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

/** The same with somebody who makes histograms of the times waited and the times held. */
function watched(id: string, title: string, watch: (pool: Pool, waits: Histogram, uses: Histogram) => void): Contender {
  return {
    id,
    title,
    role: "ours",
    timeout: "shared",
    open(options: SessionOptions): LendSession<Lease<Thing>> {
      const pool = openPool(options);
      const waits = new Histogram();
      const uses = new Histogram();
      watch(pool, waits, uses);
      return {
        kind: "lend",
        acquire: () => pool.lease(),
        release: (lease) => lease.release(),
        close: async (held) => {
          held?.release();
          await pool.shutdown(0);
          await Promise.resolve(); // events are told in a microtask
          if (waits.count !== uses.count) throw new Error(`${waits.count} acquired, ${uses.count} released`);
        },
      };
    },
  };
}

/** With a metrics subscriber, which is given times. */
export const oursWithSubscriber: Contender = watched(
  "ours_subscriber",
  "ours, with a metrics subscriber",
  (pool, waits, uses) => {
    pool.record({ waitTime: (ms) => waits.observe(ms), useTime: (ms) => uses.observe(ms) });
  },
);

/** With a listener of the events, each of which is an object. */
export const oursWithListener: Contender = watched(
  "ours_listener",
  "ours, with a listener of its events",
  (pool, waits, uses) => {
    pool.on("acquired", ({ waitedMs }) => waits.observe(waitedMs));
    pool.on("released", ({ heldMs }) => uses.observe(heldMs));
  },
);
