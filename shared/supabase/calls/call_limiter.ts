/**
 * The limit on the calls of one scope that run at once.
 *
 * @module
 */
import type { Call } from "./call.ts";

/** A semaphore for the calls of one scope: at most `permits` run at once, the others wait in order. */
export class CallLimiter {
  readonly #permits: number;
  /** A handful at most: an array costs less than a `Set`. */
  readonly #running: Call[] = [];
  /** The functions that start waiting calls, the longest wait first. */
  #waiting: Map<Call, () => void> | undefined = undefined;

  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Resolves when `call` has a permit; `undefined` when it has one at once. */
  acquire(call: Call): Promise<void> | undefined {
    if (this.#running.length < this.#permits) {
      this.#running.push(call);
      return undefined;
    }
    const waiting = this.#waiting ??= new Map();
    for (const other of [...this.#running]) other.onContention();
    return new Promise((resolve) => waiting.set(call, resolve));
  }

  /** Releases the permit of `call`, or removes it from those that wait; the next call starts. */
  release(call: Call): void {
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
      if (waiting.size > 0) next.onContention();
      return start();
    }
  }
}
