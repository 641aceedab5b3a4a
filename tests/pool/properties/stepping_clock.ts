/**
 * A fake clock that returns the time of its next timer.
 *
 * @module
 */
import type { Timer } from "../../../shared/resilience/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A number of timers at one instant that no script causes. */
const MANY = 10_000;

/** A {@linkcode FakeClock} whose timers can be run one instant at a time. */
export class SteppingClock extends FakeClock {
  /** The due time of the latest timer that has run. */
  ran = -Infinity;
  #latest = -Infinity;
  #runs = 0;
  readonly #due = new Set<{ readonly at: number }>();

  override setTimer(callback: () => void, delayMs: number): Timer {
    const entry = { at: this.now() + Math.max(delayMs, 0) };
    this.#due.add(entry);
    const timer = super.setTimer(() => {
      this.#due.delete(entry);
      this.ran = Math.max(this.ran, entry.at);
      this.#guard();
      callback();
    }, delayMs);
    return {
      cancel: () => {
        this.#due.delete(entry);
        timer.cancel();
      },
    };
  }

  /** Throws if timers set each other forever without time passing. */
  #guard(): void {
    if (this.now() !== this.#latest) this.#runs = 0;
    this.#latest = this.now();
    if (++this.#runs > MANY) throw new Error(`${MANY} timers have run at one instant`);
  }

  /** The due time of the next timer; `Infinity` if none is set. */
  get nextDue(): number {
    let next = Infinity;
    for (const { at } of this.#due) next = Math.min(next, at);
    return next;
  }
}
