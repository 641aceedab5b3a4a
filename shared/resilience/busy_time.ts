/**
 * The time in which something was under way.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Sums the time in which at least one of several activities was under way: time in which several were counts once. */
export class BusyTime {
  #active = 0;
  #clock: Clock | undefined = undefined;
  #sinceMs = 0;
  #totalMs = 0;

  /**
   * Notes that an activity begins. {@linkcode end} follows.
   *
   * @param clock The clock of all activities.
   * @param nowMs Its current time, in ms, where the caller has read it already.
   */
  begin(clock: Clock, nowMs: number = clock.now()): void {
    if (this.#active++ > 0) return;
    this.#clock = clock;
    this.#sinceMs = nowMs;
  }

  /** Notes that an activity has ended. */
  end(): void {
    if (--this.#active > 0 || !this.#clock) return;
    this.#totalMs += this.#clock.now() - this.#sinceMs;
    this.#clock = undefined;
  }

  /** The sum so far, in ms. */
  get totalMs(): number {
    return this.#clock ? this.#totalMs + this.#clock.now() - this.#sinceMs : this.#totalMs;
  }
}
