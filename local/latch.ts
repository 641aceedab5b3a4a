/**
 * A value that comes once, and that many wait for.
 *
 * @module
 */

/**
 * Comes once. `Promise.race` against a promise that has not settled keeps what each race returned until it settles,
 * which may be as long as the process lives; those that wait here leave with their work.
 */
export class Latch<T> {
  readonly #waiting = new Set<(value: T) => void>();
  #opened: { readonly value: T } | undefined = undefined;

  /** Resolves everything that waits, now and later. Further calls do nothing. */
  open(value: T): void {
    if (this.#opened) return;
    this.#opened = { value };
    for (const resolve of this.#waiting) resolve(value);
    this.#waiting.clear();
  }

  /** Waits for `work`, or for the latch if that opens first. */
  async race<R>(work: PromiseLike<R>): Promise<R | T> {
    const { promise, resolve, reject } = Promise.withResolvers<R | T>();
    work.then(resolve, reject);
    if (this.#opened) resolve(this.#opened.value);
    else this.#waiting.add(resolve);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(resolve);
    }
  }
}
