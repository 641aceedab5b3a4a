/**
 * The share of failures in the last minutes.
 *
 * @module
 */
import { type Clock, systemClock } from "../../resilience/mod.ts";

/** The time after which half of the outcomes are forgotten, in ms. */
const HALF_WINDOW_MS = 150_000;

/** Takes the share of operations that failed, of those of the last 2.5 to 5 minutes. */
export class ErrorShare {
  readonly #clock: Clock;
  #turnsAt: number;
  #total = 0;
  #failed = 0;
  #formerTotal = 0;
  #formerFailed = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#turnsAt = clock.now() + HALF_WINDOW_MS;
  }

  /** Counts an operation. Reads the clock for failures, and for one of 16 others where there are many. */
  add(failed: boolean): void {
    if (failed || this.#total < 16 || (this.#total & 15) === 0) this.#turn();
    this.#total++;
    if (failed) this.#failed++;
  }

  /** Returns the share, from 0 to 1; 0 without operations. */
  read(): number {
    this.#turn();
    const total = this.#total + this.#formerTotal;
    return total === 0 ? 0 : (this.#failed + this.#formerFailed) / total;
  }

  /** Begins the next half of the window when its time has come: with operations, however rarely the share is read. */
  #turn(): void {
    const now = this.#clock.now();
    if (now < this.#turnsAt) return;
    // After a pause of half a window, the latest counts are old as well.
    const isOld = now >= this.#turnsAt + HALF_WINDOW_MS;
    this.#formerTotal = isOld ? 0 : this.#total;
    this.#formerFailed = isOld ? 0 : this.#failed;
    this.#total = this.#failed = 0;
    this.#turnsAt = now + HALF_WINDOW_MS;
  }
}
