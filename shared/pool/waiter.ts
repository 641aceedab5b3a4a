/**
 * One queued acquire.
 *
 * @module
 */
import type { FlowTicket } from "./fair_queue.ts";
import type { LaneQueue } from "./lane.ts";
import type { Lease } from "./lease.ts";
import type { DeadlineEntry } from "./waiter_deadlines.ts";
import type { QueueNode } from "./waiter_queue.ts";

/** State that few waiters have; a separate object keeps the others small. */
export interface WaiterExtras<T extends object> {
  /** The caller's signal. */
  signal?: AbortSignal | undefined;
  /** The stack of the acquire. */
  stack?: string | undefined;
  /** Its own entry among the deadlines. */
  deadlineEntry?: DeadlineEntry<T>;
  /** Its ticket in the queue of its flow, where flows share the lane. */
  ticket?: FlowTicket<T>;
}

/** A queued acquire. Only the queue that holds it touches its links. */
export class Waiter<T extends object> implements QueueNode<Waiter<T>> {
  readonly queue: LaneQueue<T>;
  /** The instant at which it began to wait, in ms of the pool's clock. */
  readonly since: number;
  /** Its deadline, in ms of the pool's clock; `Infinity` for none. */
  readonly deadline: number;
  /** True when it waits for the pool's `acquireTimeoutMs`. */
  readonly usesDefaultTimeout: boolean;
  /** Settles the acquire with a lease, after the wait has ended. Set by {@linkcode promise}. */
  resolve!: (lease: Lease<T>) => void;
  /** Settles the acquire with an error, after the wait has ended. Set by {@linkcode promise}. */
  reject!: (error: unknown) => void;
  extras: WaiterExtras<T> | undefined = undefined;
  /** True until it is served or rejected. */
  waiting = true;
  next: Waiter<T> | undefined = undefined;
  previous: Waiter<T> | undefined = undefined;

  constructor(queue: LaneQueue<T>, since: number, deadline: number, usesDefaultTimeout: boolean) {
    this.queue = queue;
    this.since = since;
    this.deadline = deadline;
    this.usesDefaultTimeout = usesDefaultTimeout;
  }

  /** Creates the acquire's promise; called once, before the wait can end. */
  promise(): Promise<Lease<T>> {
    // An executor that captures nothing but `this` is compiled away; `Promise.withResolvers` costs an object more.
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}
