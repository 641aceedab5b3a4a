/**
 * How many calls of one lease run at once.
 *
 * @module
 */

/** A call that takes turns with others. */
export interface TurnTaker {
  /**
   * Another call waits for a turn. One whose answer nobody reads has no use for
   * its own: it is to call `giveBack` then, once.
   */
  wanted(giveBack: () => void): void;
}

/** So many run at once; the others wait, in order. */
export class Turns {
  readonly #atOnce: number;
  readonly #running = new Set<TurnTaker>();
  /** What starts each of those who wait, the longest wait first. */
  readonly #waiting = new Map<TurnTaker, () => void>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Resolves when it is `call`'s turn; `undefined` when it is at once. */
  take(call: TurnTaker): Promise<void> | undefined {
    if (this.#running.size < this.#atOnce) {
      this.#running.add(call);
      return undefined;
    }
    for (const other of this.#running) this.#want(other);
    return new Promise((resolve) => this.#waiting.set(call, resolve));
  }

  /** `call` runs, or waits, no more: the next one's turn. */
  leave(call: TurnTaker): void {
    if (!this.#running.delete(call)) {
      this.#waiting.delete(call);
      return;
    }
    for (const [next, start] of this.#waiting) {
      this.#waiting.delete(next);
      this.#running.add(next);
      if (this.#waiting.size > 0) this.#want(next);
      return start();
    }
  }

  #want(call: TurnTaker): void {
    call.wanted(() => this.leave(call));
  }
}
