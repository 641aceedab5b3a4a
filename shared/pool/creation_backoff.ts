/**
 * When resources may be made again after one could not be made.
 *
 * @module
 */
import { backoffDelayMs, type Clock, type Timer } from "../resilience/mod.ts";

/** The longest pause, as a multiple of the first. */
const MAX_FACTOR = 20;

/** A failed creation, for the errors of those who waited for it. */
export interface CreationFailure {
  readonly error: unknown;
  /** When, in ms of the pool's clock. */
  readonly at: number;
}

/**
 * The pauses between attempts. After a transient failure nobody may try for a
 * while; after a failure for good only the refilling of the floor pauses: each
 * acquire may ask once more, and learns at once that it failed.
 */
export class CreationBackoff {
  readonly #clock: Clock;
  readonly #baseMs: number;
  readonly #random: () => number;
  readonly #wake: () => void;
  #failures = 0;
  #pausedAt = -Infinity;
  #retryAt = -Infinity;
  #refillAt = -Infinity;
  #last: CreationFailure | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  /**
   * @param baseMs The first pause, in ms; it doubles with each failure, up to 20 times this.
   * @param wake Called when a pause is over.
   */
  constructor(clock: Clock, baseMs: number, random: () => number, wake: () => void) {
    this.#clock = clock;
    this.#baseMs = baseMs;
    this.#random = random;
    this.#wake = wake;
  }

  /** The latest failure that no success has followed. */
  get last(): CreationFailure | undefined {
    return this.#last;
  }

  /** Whether a resource may be made for somebody who waits. */
  mayRetry(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** Whether a resource may be made that nobody waits for. */
  mayRefill(now: number): boolean {
    return now >= this.#refillAt;
  }

  /**
   * Begins a pause. Attempts that were under way together and fail together are
   * one failure: they say no more about the far side than the first of them.
   */
  failed(error: unknown, transient: boolean, startedAt: number, now: number): void {
    if (startedAt <= this.#pausedAt) {
      this.#last = { error, at: now };
      if (transient) this.#retryAt = Math.max(this.#retryAt, this.#refillAt);
      return this.#arm(now);
    }
    this.#pausedAt = now;
    const backoff = { baseMs: this.#baseMs, capMs: this.#baseMs * MAX_FACTOR };
    const until = now + backoffDelayMs(this.#failures++, backoff, this.#random);
    this.#last = { error, at: now };
    this.#refillAt = until;
    if (transient) this.#retryAt = until;
    this.#arm(now);
  }

  /** Ends every pause. */
  succeeded(): void {
    this.#failures = 0;
    this.#pausedAt = -Infinity;
    this.#retryAt = this.#refillAt = -Infinity;
    this.#last = undefined;
  }

  /** Sets no timer any more. */
  stop(): void {
    this.#stopped = true;
    this.#disarm();
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(now: number): void {
    this.#disarm();
    if (this.#stopped) return;
    const next = Math.min(...[this.#retryAt, this.#refillAt].filter((at) => at > now));
    if (next === Infinity) return;
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = undefined;
      // Read first: a moment later the pause may be over, of which the wake was told that it is not.
      const now = this.#clock.now();
      this.#wake();
      // The wake may have armed it anew, or the timer may have come a moment early.
      if (!this.#timer) this.#arm(now);
    }, next - now);
  }
}
