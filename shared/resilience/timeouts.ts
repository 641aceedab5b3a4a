/**
 * Many timeouts of one length, on one timer.
 *
 * @module
 */
import type { Clock, Timer } from "./clock.ts";

/**
 * Timeouts that all take equally long: those begun first are due first, so that
 * a list is enough, and one timer for its head. A timer of the runtime's own
 * costs more to make and to drop than all else that a timeout is.
 */
export class Timeouts {
  /** How long each takes, in ms. */
  readonly delayMs: number;
  readonly #clock: Clock;
  #first: Timeout | undefined = undefined;
  #last: Timeout | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #expiring = false;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.delayMs = delayMs;
  }

  /** Calls `onDue` once, `delayMs` from now, unless it is cancelled. It keeps no isolate alive. */
  start(onDue: () => void): Timer {
    const timeout = new Timeout(this, onDue, this.#clock.now() + this.delayMs, this.#last);
    if (this.#last) this.#last.next = timeout;
    else this.#first = timeout;
    this.#last = timeout;
    if (!this.#expiring) this.#timer ??= this.#arm(this.delayMs);
    return timeout;
  }

  /** For {@linkcode Timeout}: it was cancelled. */
  drop(timeout: Timeout): void {
    const { previous, next } = timeout;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    // What was dropped is kept for a while by whoever cancelled it, and is to keep nobody else.
    timeout.previous = timeout.next = undefined;
    if (this.#first) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): Timer {
    return this.#clock.setTimer(() => this.#expire(), delayMs);
  }

  #expire(): void {
    this.#timer = undefined;
    this.#expiring = true;
    const now = this.#clock.now();
    try {
      while (this.#first && this.#first.dueAt <= now) this.#first.expire();
    } finally {
      this.#expiring = false;
      if (this.#first) this.#timer = this.#arm(this.#first.dueAt - now);
    }
  }
}

/** One of them. */
class Timeout implements Timer {
  /** When it is due, in ms of the clock. */
  readonly dueAt: number;
  previous: Timeout | undefined;
  next: Timeout | undefined = undefined;
  #all: Timeouts | undefined;
  readonly #onDue: () => void;

  constructor(all: Timeouts, onDue: () => void, dueAt: number, previous: Timeout | undefined) {
    this.#all = all;
    this.#onDue = onDue;
    this.dueAt = dueAt;
    this.previous = previous;
  }

  cancel(): void {
    const all = this.#all;
    this.#all = undefined;
    all?.drop(this);
  }

  expire(): void {
    this.cancel();
    this.#onDue();
  }
}
