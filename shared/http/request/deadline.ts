/**
 * When a request has to be answered.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import type { Timeouts, Timer } from "../../resilience/mod.ts";

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
  readonly #timeout: Timer;
  #exceeded: DeadlineExceededError | undefined = undefined;
  #onExceeded: ((error: DeadlineExceededError) => void) | undefined = undefined;

  /** Begins the request's time, one of a handler's `timeouts`. */
  constructor(timeouts: Timeouts) {
    this.#timeout = timeouts.start(() => {
      this.#exceeded = new DeadlineExceededError(timeouts.delayMs);
      this.#onExceeded?.(this.#exceeded);
    });
  }

  /**
   * What `work` settles as, or the rejection of the deadline, where that comes first. One wait at a time.
   *
   * @param onExceeded Told of it before whoever awaits is; also later, once `work` has settled, until {@linkcode cancel}.
   */
  race<T>(work: PromiseLike<T>, onExceeded: (error: DeadlineExceededError) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.watch((error) => {
        onExceeded(error);
        reject(error);
      });
      work.then(resolve, reject);
    });
  }

  /**
   * Tells `onExceeded` of the deadline until {@linkcode cancel}, at once where it has passed, and nobody who was to be
   * told before.
   */
  watch(onExceeded: (error: DeadlineExceededError) => void): void {
    this.#onExceeded = onExceeded;
    if (this.#exceeded) onExceeded(this.#exceeded);
  }

  /** There is nothing left that it could end. */
  cancel(): void {
    this.#timeout.cancel();
  }
}
