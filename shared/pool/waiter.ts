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
  /** The caller's signal. */
  signal?: AbortSignal | undefined;
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
}
