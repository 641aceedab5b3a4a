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
  /** A handful at most: an array costs less than a `Set`. */
  readonly #running: TurnTaker[] = [];
  /** What starts each of those who wait, the longest wait first. */
  #waiting: Map<TurnTaker, () => void> | undefined = undefined;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Resolves when it is `call`'s turn; `undefined` when it is at once. */
  take(call: TurnTaker): Promise<void> | undefined {
    if (this.#running.length < this.#atOnce) {
      this.#running.push(call);
      return undefined;
    }
    const waiting = this.#waiting ??= new Map();
    for (const other of [...this.#running]) this.#want(other);
    return new Promise((resolve) => waiting.set(call, resolve));
  }

  /** `call` runs, or waits, no more: the next one's turn. */
  leave(call: TurnTaker): void {
    const at = this.#running.indexOf(call);
    if (at < 0) {
      this.#waiting?.delete(call);
      return;
    }
    this.#running.splice(at, 1);
    const waiting = this.#waiting;
    if (!waiting) return;
    for (const [next, start] of waiting) {
      waiting.delete(next);
      this.#running.push(next);
      if (waiting.size > 0) this.#want(next);
      return start();
    }
  }

  #want(call: TurnTaker): void {
    call.wanted(() => this.leave(call));
  }
}
