/**
 * Classes of waiters, and who of them comes first.
 *
 * @module
 */
import type { Waiter } from "./waiter.ts";
import type { DeadlineEntry } from "./waiter_deadlines.ts";
import { WaiterQueue } from "./waiter_queue.ts";

/**
 * Whom an acquire is for. `high` comes before `normal`, that before `low`;
 * `admin` is for work on the system itself and comes first. Where
 * `reservedConnections` is set, `admin` has these to itself and only these:
 * it neither waits for the others nor keeps them waiting.
 */
export type Lane = "admin" | "high" | "normal" | "low";

/**
 * The lane of an acquire. `probe` is for health checks: it has one slot outside
 * `maxConnections`, which appears in no statistic. A probe creates a resource
 * of its own and destroys it at release, so that it is served however busy the
 * pool is, and takes nothing from others; a second one waits for the first.
 */
export type AcquireLane = Lane | "probe";

/** The lanes, first served first. */
export const LANES: readonly Lane[] = Object.freeze(["admin", "high", "normal", "low"]);

/** Whether a value names a lane. */
export function isLane(value: unknown): value is Lane {
  return LANES.includes(value as Lane);
}

/** How many `agingMs` a lane is behind `high`. */
const HANDICAPS: Readonly<Record<Lane, number>> = Object.freeze({ admin: -1, high: 0, normal: 1, low: 2 });

/** Those who wait in one lane. */
export class Line<T extends object> extends WaiterQueue<Waiter<T>> {
  readonly lane: Lane;
  /** Whether it is the lane `admin`. */
  readonly admin: boolean;
  /** So much later than they did its waiters seem to have come, in ms. */
  readonly handicapMs: number;
  /** The place among the deadlines of all its usual waiters. */
  due: DeadlineEntry<T> | undefined = undefined;

  constructor(lane: Lane, agingMs: number) {
    super();
    this.lane = lane;
    this.admin = lane === "admin";
    this.handicapMs = HANDICAPS[lane] * agingMs;
  }
}

/**
 * The lines of all lanes.
 *
 * Within a lane it is first come, first served. Between lanes, each step down
 * costs `agingMs` of waiting: the next to be served is the one whose arrival
 * plus its lane's handicap is earliest. So a `low` waiter comes before every
 * `high` one that arrives more than two `agingMs` after it (and before every
 * `admin` one more than three), and is served once those before it are,
 * whatever arrives later. Where `admin` has its own account, it takes no part.
 */
export class Lines<T extends object> {
  readonly #admin: Line<T>;
  readonly #high: Line<T>;
  readonly #normal: Line<T>;
  readonly #low: Line<T>;
  #size = 0;

  constructor(agingMs: number) {
    this.#admin = new Line("admin", agingMs);
    this.#high = new Line("high", agingMs);
    this.#normal = new Line("normal", agingMs);
    this.#low = new Line("low", agingMs);
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** How many wait in the lane `admin`. */
  get adminSize(): number {
    return this.#admin.size;
  }

  /** The line of a lane. */
  of(lane: Lane): Line<T> {
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

  /** Every line. */
  all(): readonly Line<T>[] {
    return [this.#admin, this.#high, this.#normal, this.#low];
  }

  /** Lines a waiter up. */
  push(waiter: Waiter<T>): void {
    this.#size++;
    waiter.line.push(waiter);
  }

  /** Takes a waiter out of its line. */
  remove(waiter: Waiter<T>): void {
    this.#size--;
    waiter.line.remove(waiter);
  }

  /** Who is next, all lanes sharing one account. */
  first(): Waiter<T> | undefined {
    if (this.#normal.size === this.#size) return this.#normal.head; // most pools use one lane
    return sooner(this.#admin.head, this.firstOther());
  }

  /** Who is next in the lane `admin`. */
  firstAdmin(): Waiter<T> | undefined {
    return this.#admin.head;
  }

  /** Who is next in the other lanes. */
  firstOther(): Waiter<T> | undefined {
    return sooner(sooner(this.#high.head, this.#normal.head), this.#low.head);
  }
}

/** Of two waiters of different lanes, the one to be served first; the former when they tie. */
function sooner<T extends object>(a: Waiter<T> | undefined, b: Waiter<T> | undefined): Waiter<T> | undefined {
  if (!a || !b) return a ?? b;
  return b.since + b.line.handicapMs < a.since + a.line.handicapMs ? b : a;
}
