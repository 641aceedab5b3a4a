/**
 * tarn, as its documentation says to use it. It always bounds a wait.
 *
 * @module
 */
import { Pool } from "tarn";
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

/** tarn with its acquire timeout. */
export const tarn: Contender = {
  id: "tarn",
  title: "tarn, timeout",
  role: "pool",
  timeout: "each",
  open({ slots, timeoutMs }: SessionOptions): LendSession<Thing> {
    const make = thingMaker();
    const pool = new Pool<Thing>({
      create: (done) => done(null, make()),
      destroy: () => {},
      min: slots,
      max: slots,
      acquireTimeoutMillis: timeoutMs,
    });
    return {
      kind: "lend",
      acquire: () => pool.acquire().promise,
      release: (thing) => void pool.release(thing),
      close: async (held) => {
        if (held) pool.release(held);
        await pool.destroy();
      },
    };
  },
};
