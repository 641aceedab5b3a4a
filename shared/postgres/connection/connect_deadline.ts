/**
 * The time limits of one attempt to connect.
 *
 * @module
 */
import type { Clock, Timer } from "../../resilience/mod.ts";

/** Options of a {@linkcode ConnectDeadline}. */
export interface ConnectDeadlineOptions {
  readonly clock: Clock;
  /** Aborts the attempt from outside. */
  readonly signal: AbortSignal;
  /** The time until the server must be reached, in ms. */
  readonly reachMs: number;
  /** The time until a server that was reached must have accepted or refused, in ms from the start. */
  readonly totalMs: number;
  /** Creates the reason when the time is up; `reached` says in which phase. */
  readonly createError: (timeoutMs: number, reached: boolean) => Error;
}

/**
 * Aborts an attempt to connect that takes too long. A server that was reached has longer: it may refuse late, and its
 * reason is what the caller needs. An attempt that is abandoned while the server checks a password may count there as a
 * failed login.
 */
export class ConnectDeadline implements Disposable {
  readonly #options: ConnectDeadlineOptions;
  readonly #controller = new AbortController();
  readonly #startedAt: number;
  readonly #onAbort = () => this.#controller.abort(this.#options.signal.reason);
  #timer: Timer;
  #reached = false;

  constructor(options: ConnectDeadlineOptions) {
    const { clock, signal, reachMs } = options;
    this.#options = options;
    this.#startedAt = clock.now();
    this.#timer = this.#arm(reachMs, reachMs);
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Aborts when the time is up, or from outside. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Notes that the server was reached. */
  reached(): void {
    if (this.#reached) return;
    this.#reached = true;
    this.#timer.cancel();
    const { clock, totalMs } = this.#options;
    this.#timer = this.#arm(this.#startedAt + totalMs - clock.now(), totalMs);
  }

  /** Drops the timer and the listener. */
  [Symbol.dispose](): void {
    this.#timer.cancel();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
  }

  #arm(delayMs: number, limitMs: number): Timer {
    const { clock, createError } = this.#options;
    return clock.setTimer(() => this.#controller.abort(createError(limitMs, this.#reached)), Math.max(delayMs, 0));
  }
}
