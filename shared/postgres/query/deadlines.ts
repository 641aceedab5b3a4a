/**
 * Deadlines of statements: one timer for all of them, set only when one is
 * earlier than those before it. Most statements are over long before theirs.
 *
 * @module
 */
import { type Clock, MAX_TIMER_MS, type Timer } from "../../resilience/mod.ts";

/** One deadline. */
export interface Deadline {
  /** When, in ms of the clock. */
  readonly at: number;
  /** Called once, when it has passed. */
  readonly expired: () => void;
}

/** The deadlines of what runs now. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #open = new Set<Deadline>();
  #timer: Timer | undefined = undefined;
  #armedFor = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `expired` at `at`, unless it is {@linkcode drop}ped before. */
  add(deadline: Deadline): void {
    this.#open.add(deadline);
    if (deadline.at < this.#armedFor) this.#arm(deadline.at);
  }

  /** Forgets a deadline. */
  drop(deadline: Deadline): void {
    this.#open.delete(deadline);
  }

  /** Drops the timer and all deadlines. */
  stop(): void {
    this.#open.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedFor = Infinity;
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#armedFor = at;
    const delayMs = Math.min(at - this.#clock.now(), MAX_TIMER_MS);
    this.#timer = this.#clock.setTimer(() => this.#fire(), delayMs);
  }

  #fire(): void {
    this.#timer = undefined;
    this.#armedFor = Infinity;
    const now = this.#clock.now();
    for (const deadline of [...this.#open]) {
      if (deadline.at > now || !this.#open.delete(deadline)) continue;
      deadline.expired();
    }
    let next = Infinity;
    for (const { at } of this.#open) next = Math.min(next, at);
    if (next < this.#armedFor) this.#arm(next);
  }
}
