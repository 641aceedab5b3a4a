/**
 * The bounds of the backoff after a failed creation.
 *
 * @module
 */

/** The earliest and the latest end of the pause between attempts: the jitter is between them. */
export class Pauses {
  readonly #baseMs: number;
  #failures = 0;
  #pausedAt = -Infinity;
  /** The earliest creation for a waiter. */
  retryFrom = -Infinity;
  /** The latest creation for a waiter. */
  retryBy = -Infinity;
  /** The earliest creation without a waiter. */
  refillFrom = -Infinity;
  /** The latest creation of the minimum. */
  refillBy = -Infinity;

  constructor(baseMs: number) {
    this.#baseMs = baseMs;
  }

  /** Records a failed creation. Concurrent creations that fail together count as one failure. */
  failed(permanent: boolean, startedAt: number, now: number): void {
    if (startedAt > this.#pausedAt) {
      const cap = 20 * this.#baseMs;
      const exponential = this.#baseMs * 2 ** this.#failures++;
      this.#pausedAt = now;
      this.refillFrom = now + Math.min(exponential, cap);
      this.refillBy = now + Math.min(1.5 * exponential, cap);
    }
    if (permanent) return;
    this.retryFrom = Math.max(this.retryFrom, this.refillFrom);
    this.retryBy = Math.max(this.retryBy, this.refillBy);
  }

  /** Records a successful creation. */
  succeeded(): void {
    this.#failures = 0;
    this.#pausedAt = -Infinity;
    this.retryFrom =
      this.retryBy =
      this.refillFrom =
      this.refillBy =
        -Infinity;
  }
}
