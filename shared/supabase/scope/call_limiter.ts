/**
 * A limit on the calls of one scope that run at once.
 *
 * @module
 */

/** A call that holds a permit or waits for one. */
export interface PermitHolder {
  /**
   * Another call waits for a permit. A call whose response is not being read
   * does not need its own: it calls `yieldPermit`, once.
   */
  onContention(yieldPermit: () => void): void;
}

/** A semaphore for calls: at most `permits` run at once, the others wait in order. */
export class CallLimiter {
  readonly #permits: number;
  /** A handful at most: an array costs less than a `Set`. */
  readonly #running: PermitHolder[] = [];
  /** The functions that start waiting calls, the longest wait first. */
  #waiting: Map<PermitHolder, () => void> | undefined = undefined;

  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Resolves when `call` has a permit; `undefined` when it has one at once. */
  acquire(call: PermitHolder): Promise<void> | undefined {
    if (this.#running.length < this.#permits) {
      this.#running.push(call);
      return undefined;
    }
    const waiting = this.#waiting ??= new Map();
    for (const other of [...this.#running]) this.#contend(other);
    return new Promise((resolve) => waiting.set(call, resolve));
  }

  /** Releases the permit of `call`, or removes it from those that wait; the next call starts. */
  release(call: PermitHolder): void {
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
      if (waiting.size > 0) this.#contend(next);
      return start();
    }
  }

  #contend(call: PermitHolder): void {
    call.onContention(() => this.release(call));
  }
}
