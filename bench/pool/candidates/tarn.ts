/**
 * tarn, used as documented. It always has an acquire timeout.
 *
 * @module
 */
import { Pool } from "tarn";
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

/** tarn with an acquire timeout. */
export const tarn: PoolCandidate = {
  id: "tarn",
  title: "tarn, timeout",
  role: "pool",
  timeout: "each",
  open({ slots, timeoutMs }: OpenOptions): OpenPool<Thing> {
    const make = thingFactory();
    const pool = new Pool<Thing>({
      create: (done) => done(null, make()),
      destroy: () => {},
      min: slots,
      max: slots,
      acquireTimeoutMillis: timeoutMs,
    });
    return {
      kind: "lease",
      acquire: () => pool.acquire().promise,
      release: (thing) => void pool.release(thing),
      close: async (held) => {
        if (held) pool.release(held);
        await pool.destroy();
      },
    };
  },
};
