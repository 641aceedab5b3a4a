/**
 * This pool, with acquire timeout, statistics, lanes and events.
 *
 * @module
 */
import { type Lease, ResourcePool } from "../../../shared/pool/mod.ts";
import { Histogram } from "../histogram.ts";
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

type Pool = ResourcePool<Thing>;

/** Creates a pool with defaults, except for the size, the timeout and `maxWaiters`. */
export function openPool({ slots, timeoutMs }: OpenOptions): ResourcePool<Thing> {
  return new ResourcePool<Thing>(
    { create: thingFactory(), destroy: () => {} },
    { maxConnections: slots, minConnections: slots, acquireTimeoutMs: timeoutMs, maxWaiters: 10_000_000 },
  );
}

/** This pool with `lease()` and `release()`. */
export const ours: PoolCandidate = {
  id: "ours",
  title: "ours",
  role: "ours",
  timeout: "shared",
  open(options: OpenOptions): OpenPool<Lease<Thing>> {
    const pool = openPool(options);
    return {
      kind: "lease",
      acquire: () => pool.lease(),
      release: (lease) => lease.release(),
      close: (held) => {
        held?.release();
        return pool.shutdown(0);
      },
    };
  },
};

/** Returns a candidate that observes wait times and use times in histograms. */
function watched(
  id: string,
  title: string,
  watch: (pool: Pool, waits: Histogram, uses: Histogram) => void,
): PoolCandidate {
  return {
    id,
    title,
    role: "ours",
    timeout: "shared",
    open(options: OpenOptions): OpenPool<Lease<Thing>> {
      const pool = openPool(options);
      const waits = new Histogram();
      const uses = new Histogram();
      watch(pool, waits, uses);
      return {
        kind: "lease",
        acquire: () => pool.lease(),
        release: (lease) => lease.release(),
        close: async (held) => {
          held?.release();
          await pool.shutdown(0);
          await Promise.resolve(); // events are emitted in a microtask
          if (waits.count !== uses.count) throw new Error(`${waits.count} acquired, ${uses.count} released`);
        },
      };
    },
  };
}

/** This pool with a metrics recorder, which takes numbers. */
export const oursWithSubscriber: PoolCandidate = watched(
  "ours_subscriber",
  "ours, with a metrics recorder",
  (pool, waits, uses) => {
    pool.record({ waitTime: (ms) => waits.observe(ms), useTime: (ms) => uses.observe(ms) });
  },
);

/** This pool with an event listener, which takes objects. */
export const oursWithListener: PoolCandidate = watched(
  "ours_listener",
  "ours, with an event listener",
  (pool, waits, uses) => {
    pool.on("acquired", ({ waitedMs }) => waits.observe(waitedMs));
    pool.on("released", ({ heldMs }) => uses.observe(heldMs));
  },
);
