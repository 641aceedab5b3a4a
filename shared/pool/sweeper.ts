/**
 * The schedule of sweeps.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";

/**
 * Runs a sweep when one is due: by a timer while the isolate is awake, and at
 * the next use of the pool after it was frozen.
 */
export class Sweeper {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #sweep: (now: number) => number | undefined;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  /** The instant at which the next sweep is due, in ms of the pool's clock. */
  dueAt = Infinity;

  /**
   * @param intervalMs The longest time between two sweeps. What falls due before is added with {@linkcode schedule}.
   * @param sweep Runs one sweep. Returns when the next is due, or `undefined` when nothing is left to sweep.
   */
  constructor(clock: Clock, intervalMs: number, sweep: (now: number) => number | undefined) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** Schedules the next sweep at `due`, which is before {@linkcode dueAt}, or at the end of the interval. */
  schedule(now: number, due: number): void {
    if (this.#stopped) return;
    this.dueAt = Math.min(due, now + this.#intervalMs);
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => this.#fire(), this.dueAt - now);
  }

  /** Runs a sweep; to be called when `dueAt` has come. */
  run(now: number): void {
    this.dueAt = Infinity;
    this.#timer?.cancel();
    this.#timer = undefined;
    const next = this.#sweep(now);
    // The sweep itself may have led to something that is watched already.
    if (next !== undefined) this.schedule(now, Math.min(next, this.dueAt));
  }

  /** Runs no sweep any more. */
  stop(): void {
    this.#stopped = true;
    this.dueAt = Infinity;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #fire(): void {
    const now = this.#clock.now();
    // A timer may fire a moment early; it is set again then.
    if (now < this.dueAt) this.schedule(now, this.dueAt);
    else this.run(now);
  }
}
