/**
 * When a pool may, and when it must, make resources again after a failure.
 *
 * @module
 */

/** The pauses between attempts, as bounds: the jitter lies between them. */
export class Pauses {
  readonly #baseMs: number;
  #failures = 0;
  #pausedAt = -Infinity;
  /** Nothing may be made for a waiter before this. */
  retryFrom = -Infinity;
  /** What waiters lack is made at this instant, at the latest. */
  retryBy = -Infinity;
  /** Nothing may be made that nobody waits for, before this. */
  refillFrom = -Infinity;
  /** The floor is filled again at this instant, at the latest. */
  refillBy = -Infinity;

  constructor(baseMs: number) {
    this.#baseMs = baseMs;
  }

  /** A creation failed. Those that were under way together and fail together are one failure. */
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

  /** A creation succeeded. */
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
