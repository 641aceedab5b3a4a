/**
 * One queued acquire.
 *
 * @module
 */
import type { Line } from "./lane.ts";
import type { Lease } from "./lease.ts";
import type { DeadlineEntry } from "./waiter_deadlines.ts";
import type { QueueNode } from "./waiter_queue.ts";

/** What few waiters have; one object apart keeps the others small. */
export interface RareWaiterParts<T extends object> {
  /** The caller's signal, and what listens to it. */
  signal?: AbortSignal | undefined;
  onAbort?: (() => void) | undefined;
  /** Where it was called from. */
  stack?: string | undefined;
  /** Its own place among the deadlines. */
  due?: DeadlineEntry<T>;
}

function nobody(): void {}

/** A queued acquire. Its links belong to the queue that holds it; nothing else touches them. */
export class Waiter<T extends object> implements QueueNode<Waiter<T>> {
  /** The line it waits in. */
  readonly line: Line<T>;
  /** When it began to wait, in ms of the pool's clock. */
  readonly since: number;
  /** When it must be over, in ms of the pool's clock; `Infinity` for never. */
  readonly deadline: number;
  /** Whether it waits as long as the pool's configuration says. */
  readonly usual: boolean;
  /** Settles the acquire with a lease, after the wait has ended. */
  resolve: (lease: Lease<T>) => void = nobody;
  /** Settles the acquire with a refusal, after the wait has ended. */
  reject: (error: unknown) => void = nobody;
  rare: RareWaiterParts<T> | undefined;
  /** Whether it still waits. */
  waiting = true;
  next: Waiter<T> | undefined = undefined;
  previous: Waiter<T> | undefined = undefined;

  constructor(
    line: Line<T>,
    since: number,
    deadline: number,
    usual: boolean,
    rare: RareWaiterParts<T> | undefined,
  ) {
    this.line = line;
    this.since = since;
    this.deadline = deadline;
    this.usual = usual;
    this.rare = rare;
  }

  /** The acquire's promise; to be made once, before the wait can end. */
  promise(): Promise<Lease<T>> {
    // An executor that captures nothing but `this` is compiled away; `Promise.withResolvers` costs an object more.
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** Calls `onAbort` with the reason when the caller's signal aborts while this still waits. */
  watch(onAbort: (reason: unknown) => void): void {
    const { rare } = this;
    const signal = rare?.signal;
    if (!rare || !signal) return;
    rare.onAbort = () => onAbort(signal.reason);
    signal.addEventListener("abort", rare.onAbort, { once: true });
  }

  /** Ends the wait: from now on its signal does not concern it. */
  end(): void {
    this.waiting = false;
    const { rare } = this;
    if (!rare?.onAbort) return;
    rare.signal?.removeEventListener("abort", rare.onAbort);
    rare.onAbort = undefined;
  }
}
