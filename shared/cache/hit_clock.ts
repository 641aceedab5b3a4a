/**
 * The time for hits in memory, of which there may be millions per second: reading the clock costs as much as the hit.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";

/** The number of reads in the same millisecond after which a reading is held. */
const BURST = 16;

/** The maximum number of uses of one reading: a turn of the event loop may last long. */
const MAX_USES = 256;

/**
 * Reads the clock at each use, except in a burst: then one reading is used until the next turn of the event loop, and at
 * most 256 times.
 */
export class HitClock {
  readonly #wallClock: () => number;
  readonly #clock: Clock;
  readonly #release = (): void => {
    this.#uses = 0;
    this.#isTimed = false;
  };
  #now = 0;
  #reads = 0;
  /** The number of times that the reading may still be used. */
  #uses = 0;
  #isTimed = false;

  constructor(wallClock: () => number, clock: Clock) {
    this.#wallClock = wallClock;
    this.#clock = clock;
  }

  /** Returns the time, in ms since the epoch: now, or a moment ago in this turn of the event loop. */
  now(): number {
    if (this.#uses > 0) {
      this.#uses--;
      return this.#now;
    }
    const now = this.#wallClock();
    this.#reads = now === this.#now ? this.#reads + 1 : this.#isTimed ? BURST : 0;
    this.#now = now;
    if (this.#reads < BURST) return now;
    if (!this.#isTimed) {
      this.#isTimed = true;
      this.#clock.setTimer(this.#release, 0);
    }
    this.#uses = MAX_USES;
    return now;
  }
}
