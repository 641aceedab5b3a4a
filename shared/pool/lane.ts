/**
 * Classes of waiters, and who of them comes first.
 *
 * @module
 */
import type { Waiter } from "./waiter.ts";
import { WaiterQueue } from "./waiter_queue.ts";

/**
 * Whom an acquire is for. `high` comes before `normal`, that before `low`;
 * `admin` is for work on the system itself and comes first. Where
 * `reservedConnections` is set, `admin` has these to itself and only these:
 * it neither waits for the others nor keeps them waiting.
 */
export type Lane = "admin" | "high" | "normal" | "low";

/** The lanes, first served first. */
export const LANES: readonly Lane[] = Object.freeze(["admin", "high", "normal", "low"]);

/** Whether a value names a lane. */
export function isLane(value: unknown): value is Lane {
  return LANES.includes(value as Lane);
}

/**
 * The queues of all lanes.
 *
 * Within a lane it is first come, first served. Between lanes, each step down
 * costs `agingMs` of waiting: the next to be served is the one whose arrival
 * plus its lane's handicap is earliest. So a `low` waiter comes before every
 * `high` one that arrives more than two `agingMs` after it (and before every
 * `admin` one more than three), and is served once those before it are,
 * whatever arrives later. Where `admin` has its own account, it takes no part.
 */
export class LaneQueues<T extends object> {
  readonly #agingMs: number;
  readonly #admin = new WaiterQueue<Waiter<T>>();
  readonly #high = new WaiterQueue<Waiter<T>>();
  readonly #normal = new WaiterQueue<Waiter<T>>();
  readonly #low = new WaiterQueue<Waiter<T>>();
  #size = 0;

  constructor(agingMs: number) {
    this.#agingMs = agingMs;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** How many wait in the lane `admin`. */
  get adminSize(): number {
    return this.#admin.size;
  }

  /** Lines a waiter up in its lane. */
  push(waiter: Waiter<T>): void {
    this.#size++;
    this.#queueOf(waiter.lane).push(waiter);
  }

  /** Takes a waiter out of its lane. */
  remove(waiter: Waiter<T>): void {
    this.#size--;
    this.#queueOf(waiter.lane).remove(waiter);
  }

  /** Who is next, all lanes sharing one account. */
  first(): Waiter<T> | undefined {
    if (this.#admin.size === 0) return this.firstOther();
    return this.#sooner(this.#admin.head, this.firstOther());
  }

  /** Who is next in the lane `admin`. */
  firstAdmin(): Waiter<T> | undefined {
    return this.#admin.head;
  }

  /** Who is next in the other lanes. */
  firstOther(): Waiter<T> | undefined {
    if (this.#normal.size === this.#size) return this.#normal.head; // most pools use one lane
    return this.#sooner(this.#sooner(this.#high.head, this.#normal.head), this.#low.head);
  }

  /** Of two waiters of different lanes, the one to be served first; the former when they tie. */
  #sooner(a: Waiter<T> | undefined, b: Waiter<T> | undefined): Waiter<T> | undefined {
    if (!a || !b) return a ?? b;
    return b.since + this.#handicap(b.lane) < a.since + this.#handicap(a.lane) ? b : a;
  }

  #handicap(lane: Lane): number {
    switch (lane) {
      case "admin":
        return -this.#agingMs;
      case "high":
        return 0;
      case "normal":
        return this.#agingMs;
      case "low":
        return 2 * this.#agingMs;
    }
  }

  #queueOf(lane: Lane): WaiterQueue<Waiter<T>> {
    switch (lane) {
      case "admin":
        return this.#admin;
      case "high":
        return this.#high;
      case "normal":
        return this.#normal;
      case "low":
        return this.#low;
    }
  }
}
