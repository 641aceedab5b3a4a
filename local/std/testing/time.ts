/**
 * `FakeTime` of `jsr:@std/testing/time`, on `@sinonjs/fake-timers`, for
 * machines that reach the npm registry only.
 *
 * @module
 */
import { type Clock, install } from "@sinonjs/fake-timers";

/**
 * Replaces `Date` and the timers of this isolate by ones that stand still
 * until {@linkcode tick} or {@linkcode tickAsync} moves them.
 */
export class FakeTime {
  readonly #clock: Clock;

  /** @param start The first instant, as a date or in ms since the epoch. Default: now. */
  constructor(start: number | Date = Date.now()) {
    this.#clock = install({
      now: start,
      toFake: ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
    });
  }

  /** The faked instant, in ms since the epoch. */
  get now(): number {
    return this.#clock.now;
  }

  /** Moves time on by `ms`, running the timers that fall due. */
  tick(ms = 0): void {
    this.#clock.tick(ms);
  }

  /** Like {@linkcode tick}, and lets promises settle before and after each timer. */
  async tickAsync(ms = 0): Promise<void> {
    await this.#clock.tickAsync(ms);
  }

  /** Lets promises settle without moving time. */
  async runMicrotasks(): Promise<void> {
    await this.#clock.tickAsync(0);
  }

  /** Puts the real `Date` and timers back. */
  restore(): void {
    this.#clock.uninstall();
  }

  /** {@linkcode restore}, for `using`. */
  [Symbol.dispose](): void {
    this.restore();
  }
}
