/**
 * A clock that says when its next timer is due.
 *
 * @module
 */
import type { Timer } from "../../../shared/resilience/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A {@linkcode FakeClock} whose timers can be run one instant at a time. */
export class WatchedClock extends FakeClock {
  /** When the latest of the timers that have run was due. */
  ran = -Infinity;
  readonly #due = new Set<{ readonly at: number }>();

  override setTimer(callback: () => void, delayMs: number): Timer {
    const entry = { at: this.now() + Math.max(delayMs, 0) };
    this.#due.add(entry);
    const timer = super.setTimer(() => {
      this.#due.delete(entry);
      this.ran = Math.max(this.ran, entry.at);
      callback();
    }, delayMs);
    return {
      cancel: () => {
        this.#due.delete(entry);
        timer.cancel();
      },
    };
  }

  /** When the next timer is due; `Infinity` when none is set. */
  get nextDue(): number {
    let next = Infinity;
    for (const { at } of this.#due) next = Math.min(next, at);
    return next;
  }
}
