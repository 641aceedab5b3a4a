/**
 * How many calls of one lease run at once.
 *
 * @module
 */

/** So many run at once; the others wait, in order. */
export class Turns {
  #free: number;
  /** What starts each of those who wait, the longest wait first. */
  readonly #waiting = new Map<object, () => void>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Resolves when it is `call`'s turn; `undefined` when it is at once. */
  take(call: object): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.set(call, resolve));
  }

  /** `call` runs, or waits, no more: the next one's turn. To be said once. */
  leave(call: object): void {
    if (this.#waiting.delete(call)) return;
    for (const [next, start] of this.#waiting) {
      this.#waiting.delete(next);
      return start();
    }
    this.#free++;
  }
}
