/**
 * The right to load a value: one isolate at a time has it, by a lock in Redis.
 *
 * @module
 */
import type { CacheEngine, Flight } from "./engine.ts";
import type { StoredEntry } from "./envelope.ts";
import type { CacheEntry } from "./memory_level.ts";
import type { RedisLevel } from "./redis_level.ts";
import type { Found } from "./redis_reads.ts";

/** The end of the wait for the right to load. */
export type Turn =
  /** This isolate loads and stores the value. */
  | { readonly kind: "holder"; readonly token: string }
  /** Another isolate has loaded it. */
  | { readonly kind: "found"; readonly entry: CacheEntry }
  /** Another isolate loads it, and a background load is not needed. */
  | { readonly kind: "busy" }
  /** This isolate loads the value for itself: Redis cannot be used, or the other one takes too long. */
  | { readonly kind: "alone" };

/** The first pause between two looks at what another isolate loads, in ms; it doubles up to the last. */
const FIRST_PAUSE_MS = 4;
const LAST_PAUSE_MS = 50;

/** Options of {@linkcode LoadTurns}. */
export interface LoadTurnsOptions {
  /** The time for which the lock of a load lasts if its holder was killed, in ms. */
  readonly lockMs: number;
  /** The longest wait for the load of another isolate, in ms. */
  readonly lockWaitMs: number;
}

/** The turn of an isolate without Redis. */
export const ALONE: Turn = Object.freeze({ kind: "alone" });

function freshOf(found: Found, now: number): StoredEntry | undefined {
  return found.kind === "hit" && now < found.entry.freshUntil ? found.entry : undefined;
}

/** Waits for the right to load, and keeps it. */
export class LoadTurns {
  readonly #engine: CacheEngine;
  readonly #redis: RedisLevel;
  readonly #options: LoadTurnsOptions;

  constructor(engine: CacheEngine, redis: RedisLevel, options: LoadTurnsOptions) {
    this.#engine = engine;
    this.#redis = redis;
    this.#options = options;
  }

  /**
   * Waits until this isolate is the one that loads, or another one has loaded.
   *
   * @param waits Whether it waits for another isolate that loads the value.
   */
  async take(key: string, flight: Flight, waits: boolean): Promise<Turn> {
    const redis = this.#redis;
    const { clock, wallClock, random } = this.#engine.options;
    const token = crypto.randomUUID();
    const end = clock.now() + this.#options.lockWaitMs;
    for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)) {
      const acquired = await redis.acquire(key, token, this.#options.lockMs);
      if (acquired.kind === "outage") return ALONE;
      const fresh = freshOf(acquired.found, wallClock());
      if (fresh) {
        if (acquired.kind === "held") await redis.release(key, token);
        return { kind: "found", entry: this.#engine.adopt(key, fresh, flight) };
      }
      if (acquired.kind === "held") return { kind: "holder", token };
      if (!waits) return { kind: "busy" };
      if (pauseMs === FIRST_PAUSE_MS) redis.counters.lockWaits++;
      if (clock.now() >= end) {
        redis.counters.lockTimeouts++;
        return ALONE;
      }
      // Its caller waits: the timer keeps the process alive.
      await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs * (1 + random() / 2), { keepAlive: true }));
    }
  }

  /** Keeps the lock until the returned function is called. A holder that was killed or frozen loses it. */
  keep(key: string, token: string): () => void {
    const redis = this.#redis;
    const { clock } = this.#engine.options;
    const { lockMs } = this.#options;
    let timer = clock.setTimer(renew, lockMs / 3);
    function renew(): void {
      void redis.renew(key, token, lockMs);
      timer = clock.setTimer(renew, lockMs / 3);
    }
    return () => timer.cancel();
  }
}
