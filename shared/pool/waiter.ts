/**
 * One queued acquire.
 *
 * @module
 */
import type { DueNode } from "./deadline_queue.ts";
import type { Lane } from "./lane.ts";
import type { Lease } from "./lease.ts";

/**
 * A queued acquire: a promise of a lease, and its places in the two lists that
 * hold it. The links belong to those lists; nothing else touches them.
 */
export class Waiter<T extends object> implements DueNode<Waiter<T>> {
  /** Settles with the lease or the refusal. */
  readonly promise: Promise<Lease<T>>;
  readonly lane: Lane;
  /** When it began to wait, in ms of the pool's clock. */
  readonly since: number;
  /** When it must be over, in ms of the pool's clock; `Infinity` for never. */
  readonly deadline: number;
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined;
  /** Where it was called from, if the pool captures that. */
  readonly stack: string | undefined;
  /** Whether it still waits. */
  waiting = true;

  /** Links of the {@linkcode WaiterQueue}. */
  next: Waiter<T> | undefined = undefined;
  previous: Waiter<T> | undefined = undefined;
  /** Links of the {@linkcode DeadlineQueue}. */
  dueNext: Waiter<T> | undefined = undefined;
  duePrevious: Waiter<T> | undefined = undefined;
  dueBucket: DueNode<Waiter<T>>["dueBucket"] = undefined;

  #onAbort: (() => void) | undefined = undefined;
  readonly #resolve: (lease: Lease<T>) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    lane: Lane,
    since: number,
    deadline: number,
    signal: AbortSignal | undefined,
    stack: string | undefined,
  ) {
    this.lane = lane;
    this.since = since;
    this.deadline = deadline;
    this.stack = stack;
    this.signal = signal;
    const { promise, resolve, reject } = Promise.withResolvers<Lease<T>>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Calls `onAbort` with the reason when the caller's signal aborts while this still waits. */
  watch(onAbort: (reason: unknown) => void): void {
    const signal = this.signal;
    if (!signal) return;
    this.#onAbort = () => onAbort(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Settles the promise with a lease, after the wait has ended. */
  resolve(lease: Lease<T>): void {
    this.#resolve(lease);
  }

  /** Settles the promise with a refusal, after the wait has ended. */
  reject(error: unknown): void {
    this.#reject(error);
  }

  /** Ends the wait: from now on neither its deadline nor its signal concerns it. */
  end(): void {
    this.waiting = false;
    if (this.#onAbort) this.signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
  }
}
