/**
 * Until when each waiter waits.
 *
 * @module
 */
import { type Clock, type DeadlineNode, DeadlineQueue } from "../resilience/mod.ts";
import { Line } from "./lane.ts";
import type { Waiter } from "./waiter.ts";

/** So many of a line are told without a look at the clock. */
const AT_ONCE = 64;

/** An element of the queue of deadlines: a waiter with a time of its own, or a line for all its usual ones. */
export class DeadlineEntry<T extends object> implements DeadlineNode<DeadlineEntry<T>> {
  readonly subject: Waiter<T> | Line<T>;
  deadline: number;
  dueNext: DeadlineEntry<T> | undefined = undefined;
  duePrevious: DeadlineEntry<T> | undefined = undefined;
  dueBucket: DeadlineNode<DeadlineEntry<T>>["dueBucket"] = undefined;

  constructor(subject: Waiter<T> | Line<T>, deadline: number) {
    this.subject = subject;
    this.deadline = deadline;
  }
}

/**
 * The deadlines of all who wait, with one timer.
 *
 * Most waiters wait as long as the configuration says. Then the first to come is
 * the first whose time is up, and the line they stand in is in order of their
 * deadlines already: one entry stands for all of them. Only a waiter with a
 * time of its own has an entry of its own.
 */
export class WaiterDeadlines<T extends object> {
  readonly #queue: DeadlineQueue<DeadlineEntry<T>>;
  readonly #onDue: (waiters: readonly Waiter<T>[], now: number) => void;

  /** @param onDue Told of those whose deadline has come, in order; it takes them out of their lines. */
  constructor(clock: Clock, onDue: (waiters: readonly Waiter<T>[], now: number) => void) {
    this.#onDue = onDue;
    this.#queue = new DeadlineQueue(clock, ({ subject }, now) => {
      if (subject instanceof Line) return this.#lineDue(subject, now);
      this.#onDue([subject], now);
      return 1;
    }, { keepTimer: true });
  }

  /** Sees to it that a waiter, who stands in its line, is told of when its deadline comes. */
  add(waiter: Waiter<T>, now: number): void {
    if (!waiter.usual) return this.#addOwn(waiter, now);
    const { line } = waiter;
    if (line.due?.dueBucket === undefined) this.#addLine(line, waiter.deadline, now);
  }

  /** Forgets a waiter. The entry of a line is left: it finds out by itself that nobody is due. */
  remove(waiter: Waiter<T>): void {
    const due = waiter.rare?.due;
    if (due) this.#queue.remove(due);
  }

  /** Drops the timer. */
  stop(): void {
    this.#queue.stop();
  }

  #addOwn(waiter: Waiter<T>, now: number): void {
    const due = new DeadlineEntry<T>(waiter, waiter.deadline);
    (waiter.rare ??= {}).due = due;
    this.#queue.add(due, now);
  }

  #addLine(line: Line<T>, deadline: number, now: number): void {
    const due = line.due ??= new DeadlineEntry<T>(line, deadline);
    due.deadline = deadline;
    this.#queue.add(due, now);
  }

  #lineDue(line: Line<T>, now: number): number {
    const due: Waiter<T>[] = [];
    for (let waiter = line.firstUsual; waiter && due.length < AT_ONCE; waiter = waiter.next) {
      if (!waiter.usual) continue;
      if (waiter.deadline > now) break;
      due.push(waiter);
    }
    if (due.length > 0) this.#onDue(due, now);
    const first = line.firstUsual;
    if (first) this.#addLine(line, first.deadline, now);
    return Math.max(due.length, 1);
  }
}
