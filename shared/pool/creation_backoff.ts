/**
 * The pauses between attempts to create a resource.
 *
 * @module
 */
import { backoffDelayMs, type Clock, retryAfterMs, type Timer } from "../resilience/mod.ts";

/** The longest pause, as a multiple of the first. */
const MAX_FACTOR = 20;

/** The longest pause that a failure can ask for, in ms: one bad `Retry-After` must not stop a pool for hours. */
const MAX_ASKED_MS = 60_000;

/** A failed creation, for the errors of those who waited for it. */
export interface CreationFailure {
  readonly error: unknown;
  /** The instant of the failure, in ms of the pool's clock. */
  readonly at: number;
}

/** A failed creation as it is reported. */
interface FailedAttempt {
  readonly error: unknown;
  readonly kind: "transient" | "permanent";
  /** The instant at which the creation began, in ms of the pool's clock. */
  readonly startedAt: number;
}

/**
 * Decides when resources may be created again. After a transient failure
 * nothing is created for a while. After a permanent one only the floor waits:
 * each acquire may try once more, and is rejected at once when that fails too.
 */
export class CreationBackoff {
  readonly #clock: Clock;
  readonly #baseMs: number;
  readonly #random: () => number;
  readonly #onEnd: () => void;
  #failures = 0;
  #pausedAt = -Infinity;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  /** From this instant on, resources may be created for waiters. */
  retryAt = -Infinity;
  /** From this instant on, resources may be created for the floor. */
  refillAt = -Infinity;
  /** The latest failure that no success has followed. */
  last: CreationFailure | undefined = undefined;
  /** The start of the first attempt that no success has followed, in ms of the pool's clock. */
  failingSince = Infinity;

  /**
   * @param baseMs The first pause, in ms; it doubles with each failure, up to 20 times this.
   * @param onEnd Called when a pause has ended.
   */
  constructor(clock: Clock, baseMs: number, random: () => number, onEnd: () => void) {
    this.#clock = clock;
    this.#baseMs = baseMs;
    this.#random = random;
    this.#onEnd = onEnd;
  }

  /**
   * Begins a pause. Attempts that were under way together and fail together are
   * one failure: they say no more about the far side than the first of them.
   * A pause is never shorter than what a failure asks for (`Retry-After`), up to a minute.
   */
  failed({ error, kind, startedAt }: FailedAttempt, now: number): void {
    this.last = { error, at: now };
    this.failingSince = Math.min(this.failingSince, startedAt);
    if (startedAt > this.#pausedAt) {
      this.#pausedAt = now;
      const backoff = { baseMs: this.#baseMs, capMs: this.#baseMs * MAX_FACTOR };
      this.refillAt = now + backoffDelayMs(this.#failures++, backoff, this.#random);
    }
    const askedMs = Math.min(retryAfterMs(error) ?? 0, MAX_ASKED_MS);
    if (askedMs > 0) this.refillAt = Math.max(this.refillAt, now + askedMs);
    if (kind === "transient") this.retryAt = Math.max(this.retryAt, this.refillAt);
    this.#arm(now);
  }

  /** Ends every pause. */
  succeeded(): void {
    this.#failures = 0;
    this.#pausedAt = -Infinity;
    this.retryAt = this.refillAt = -Infinity;
    this.last = undefined;
    this.failingSince = Infinity;
  }

  /** Cancels the timer for good. */
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
    const next = Math.min(...[this.retryAt, this.refillAt].filter((at) => at > now));
    if (next === Infinity) return;
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = undefined;
      // Read first: a moment later the pause may have ended that `onEnd` still saw.
      const now = this.#clock.now();
      this.#onEnd();
      // `onEnd` may have armed it again, or the timer may have fired a moment early.
      if (!this.#timer) this.#arm(now);
    }, next - now);
  }
}
