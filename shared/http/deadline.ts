/**
 * When a request has to be answered.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";
import type { Clock, Timer } from "../resilience/mod.ts";

/** A request was not answered by its deadline; what it did on the pools has been ended. */
export class DeadlineExceededError extends PoolError {
  constructor(deadlineMs: number) {
    super(
      "DEADLINE_EXCEEDED",
      `The request was not answered within ${deadlineMs} ms (deadlineMs, POOL_DEADLINE_MS): waiting, every attempt ` +
        "and every body count",
    );
  }
}

/** The deadline of one request. Its timer keeps no isolate alive. */
export class Deadline {
  readonly #clock: Clock;
  readonly #atMs: number;
  readonly #deadlineMs: number;
  #timer: Timer | undefined = undefined;

  /** Begins the request's time. */
  constructor(clock: Clock, deadlineMs: number) {
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#atMs = clock.now() + deadlineMs;
  }

  /**
   * What `work` settles as, or the rejection of the deadline, where that comes first. One wait at a time.
   *
   * @param onExceeded Told of it before whoever awaits is.
   */
  race<T>(work: PromiseLike<T>, onExceeded: (error: DeadlineExceededError) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#timer?.cancel();
      this.#timer = this.#clock.setTimer(() => {
        const error = new DeadlineExceededError(this.#deadlineMs);
        onExceeded(error);
        reject(error);
      }, this.#atMs - this.#clock.now());
      work.then(resolve, reject);
    });
  }

  /** There is nothing left that it could end. */
  cancel(): void {
    this.#timer?.cancel();
  }
}
