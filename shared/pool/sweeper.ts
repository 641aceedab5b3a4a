/**
 * When to look for what is too old.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";

/**
 * Runs a pass of expiry when one is due: by a timer while the isolate is
 * awake, and at the next use of the pool after it was frozen.
 */
export class Sweeper {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #sweep: (now: number) => number | undefined;
  #at = Infinity;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  /**
   * @param intervalMs The longest time between two passes. What comes to be between them and falls due sooner is
   * {@linkcode watch}ed by itself.
   * @param sweep Makes one pass, and says when what it left falls due; `undefined` when it left nothing.
   */
  constructor(clock: Clock, intervalMs: number, sweep: (now: number) => number | undefined) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** Makes a pass if one is due. To be asked at each use of the pool. */
  poll(now: number): void {
    if (now >= this.#at) this.#run(now);
  }

  /** Sees to it that a pass comes at `due`, and at the interval's end at the latest. */
  watch(now: number, due: number): void {
    if (due < this.#at && !this.#stopped) this.#plan(now, due);
  }

  /** Makes no pass any more. */
  stop(): void {
    this.#stopped = true;
    this.#at = Infinity;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #run(now: number): void {
    this.#at = Infinity;
    this.#timer?.cancel();
    this.#timer = undefined;
    const next = this.#sweep(now);
    // The pass itself may have made something that is watched already.
    if (next !== undefined && !this.#stopped) this.#plan(now, Math.min(next, this.#at));
  }

  #plan(now: number, next: number): void {
    this.#at = Math.min(next, now + this.#intervalMs);
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => this.#fire(), this.#at - now);
  }

  #fire(): void {
    const now = this.#clock.now();
    // A timer may fire a moment before its time; it is set again then.
    if (now < this.#at) this.#plan(now, this.#at);
    else this.#run(now);
  }
}
