/**
 * The deadlines of the waiters, on one timer.
 *
 * @module
 */
import { type Clock, type DeadlineNode, DeadlineQueue } from "../resilience/mod.ts";
import { LaneQueue } from "./lane.ts";
import type { Waiter } from "./waiter.ts";

/** The number of waiters of a lane that expire per reading of the clock. */
const MAX_BATCH = 64;

/** An entry among the deadlines: a waiter with a timeout of its own, or a lane for all others of it. */
export class DeadlineEntry<T extends object> implements DeadlineNode<DeadlineEntry<T>> {
  readonly subject: Waiter<T> | LaneQueue<T>;
  deadline: number;
  dueNext: DeadlineEntry<T> | undefined = undefined;
  duePrevious: DeadlineEntry<T> | undefined = undefined;
  dueBucket: DeadlineNode<DeadlineEntry<T>>["dueBucket"] = undefined;

  constructor(subject: Waiter<T> | LaneQueue<T>, deadline: number) {
    this.subject = subject;
    this.deadline = deadline;
  }
}

/**
 * Expires waiters at their deadlines.
 *
 * Most waiters have the default timeout. Their queue is in order of their
 * deadlines already, so that one entry stands for all of a lane. Only a waiter
 * with another timeout has an entry of its own.
 */
export class WaiterDeadlines<T extends object> {
  readonly #queue: DeadlineQueue<DeadlineEntry<T>>;
  readonly #onDue: (waiters: readonly Waiter<T>[], now: number) => void;

  /** @param onDue Called with the waiters whose deadline has come, in order; removes them from their queues. */
  constructor(clock: Clock, onDue: (waiters: readonly Waiter<T>[], now: number) => void) {
    this.#onDue = onDue;
    this.#queue = new DeadlineQueue(clock, ({ subject }, now) => {
      if (subject instanceof LaneQueue) return this.#laneDue(subject, now);
      this.#onDue([subject], now);
      return 1;
    }, { keepTimer: true });
  }

  /** Watches the deadline of a waiter that is in its queue. */
  add(waiter: Waiter<T>, now: number): void {
    if (!waiter.usesDefaultTimeout) return this.#addOwn(waiter, now);
    const { queue } = waiter;
    if (queue.deadlineEntry?.dueBucket === undefined) this.#addLane(queue, waiter.deadline, now);
  }

  /** Drops the entry of a waiter. That of a lane stays: it finds nothing due when its time comes. */
  remove(waiter: Waiter<T>): void {
    const entry = waiter.extras?.deadlineEntry;
    if (entry) this.#queue.remove(entry);
  }

  /** Cancels the timer. */
  stop(): void {
    this.#queue.stop();
  }

  #addOwn(waiter: Waiter<T>, now: number): void {
    const entry = new DeadlineEntry<T>(waiter, waiter.deadline);
    (waiter.extras ??= {}).deadlineEntry = entry;
    this.#queue.add(entry, now);
  }

  #addLane(queue: LaneQueue<T>, deadline: number, now: number): void {
    const entry = queue.deadlineEntry ??= new DeadlineEntry<T>(queue, deadline);
    entry.deadline = deadline;
    this.#queue.add(entry, now);
  }

  #laneDue(queue: LaneQueue<T>, now: number): number {
    const due: Waiter<T>[] = [];
    for (let waiter = queue.firstWithDefaultTimeout; waiter && due.length < MAX_BATCH; waiter = waiter.next) {
      if (!waiter.usesDefaultTimeout) continue;
      if (waiter.deadline > now) break;
      due.push(waiter);
    }
    if (due.length > 0) this.#onDue(due, now);
    const first = queue.firstWithDefaultTimeout;
    if (first) this.#addLane(queue, first.deadline, now);
    return Math.max(due.length, 1);
  }
}
