/**
 * Priority classes, and the queue of each.
 *
 * @module
 */
import type { FairQueue } from "./fair_queue.ts";
import type { Waiter } from "./waiter.ts";
import type { DeadlineEntry } from "./waiter_deadlines.ts";
import { WaiterQueue } from "./waiter_queue.ts";

/**
 * A priority class. `high` comes before `normal`, and that before `low`;
 * `admin` is for work on the system itself and comes first. Where
 * `reservedConnections` is set, `admin` has these to itself and only these: it
 * neither waits for other lanes nor keeps them waiting.
 */
export type Lane = "admin" | "high" | "normal" | "low";

/**
 * The lane of an acquire. `probe` is for health checks: it has one slot outside
 * `maxConnections`, which appears in no statistic. A probe creates a resource
 * of its own and destroys it at release. So it is served however busy the pool
 * is, and takes nothing from others. A second probe waits for the first.
 */
export type AcquireLane = Lane | "probe";

/** The lanes, first served first. */
export const LANES: readonly Lane[] = Object.freeze(["admin", "high", "normal", "low"]);

/** Returns whether a value names a lane. */
export function isLane(value: unknown): value is Lane {
  return LANES.includes(value as Lane);
}

/** The number of `agingMs` by which a lane is behind `high`. */
const AGING_STEPS: Readonly<Record<Lane, number>> = Object.freeze({ admin: -1, high: 0, normal: 1, low: 2 });

/** The waiters of one lane, in order of arrival. */
export class LaneQueue<T extends object> extends WaiterQueue<Waiter<T>> {
  readonly lane: Lane;
  /** Between lanes, a waiter counts as having arrived this much later, in ms. */
  readonly agingOffsetMs: number;
  /** The one entry among the deadlines for all waiters with the default timeout. */
  deadlineEntry: DeadlineEntry<T> | undefined = undefined;
  /** The flows that share the lane; without, it is first come, first served. Set once, before the first waiter. */
  flows: FairQueue<T> | undefined = undefined;

  constructor(lane: Lane, agingMs: number) {
    super();
    this.lane = lane;
    this.agingOffsetMs = AGING_STEPS[lane] * agingMs;
  }
}
