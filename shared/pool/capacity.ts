/**
 * The limits of a pool, and how many leases count against them.
 *
 * @module
 */
import type { ConfigIssue } from "./errors.ts";
import type { Lane } from "./lane.ts";

/** The limits of a pool's size: the one part of a configuration that can change while the pool runs. */
export interface PoolLimits {
  /** The maximum number of resources, those being created or closed included. */
  readonly maxConnections: number;
  /** The number of resources kept open even when idle. */
  readonly minConnections: number;
  /** The part of `maxConnections` that only the lane `admin` may lease, and all that it may lease. */
  readonly reservedConnections: number;
}

/** The load of a pool, as a limit that follows it sees it: that of the lanes that share the unreserved part. */
export interface PoolLoad {
  /** The number of leases. */
  readonly leased: number;
  /** True when acquires wait because of the limit. */
  readonly hasWaiters: boolean;
}

/** Returns the issues of limits that are valid alone and not together. */
export function limitIssues({ maxConnections, minConnections, reservedConnections }: PoolLimits): ConfigIssue[] {
  const most = `must be at most maxConnections (${maxConnections})`;
  const issues: ConfigIssue[] = [];
  if (minConnections > maxConnections) {
    issues.push({ path: "minConnections", message: `is ${minConnections}, ${most}` });
  }
  if (reservedConnections > maxConnections) {
    issues.push({ path: "reservedConnections", message: `is ${reservedConnections}, ${most}` });
  }
  return issues;
}

/**
 * Counts leases against the limits. With reserved connections, the lane `admin`
 * and the other lanes are counted apart; without, together.
 */
export class Capacity {
  #limits: PoolLimits;
  #admin = 0;
  #others = 0;
  #reserved = 0;
  #unreserved = 0;
  /** True if the unreserved part is halved. */
  isHalved = false;
  /** The limit that follows load, below `maxConnections`. */
  #adapted = Infinity;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.resize(limits);
  }

  /** The limits in force. */
  get limits(): PoolLimits {
    return this.#limits;
  }

  /** Replaces the limits. They are frozen: callers and listeners get them. */
  resize(limits: PoolLimits): void {
    this.#limits = Object.freeze(limits);
    this.#reserved = limits.reservedConnections;
    this.#setUnreserved();
  }

  /** Halves the unreserved part, down to 1, or ends that. */
  halve(isHalved: boolean): void {
    this.isHalved = isHalved;
    this.#setUnreserved();
  }

  /** The number of leases that may be out now: `maxConnections`, or less where {@linkcode adapt} lowered it. */
  get limit(): number {
    return this.#reserved + this.#unreserved;
  }

  /** The number of leases of the lanes that share the unreserved part, and the most of them that may be out now. */
  get shared(): { readonly leased: number; readonly limit: number } {
    return { leased: this.#reserved === 0 ? this.leased : this.#others, limit: this.#unreserved };
  }

  /**
   * Lowers the unreserved part to `limit`, which follows load. It stays at least 1 and within `maxConnections`; reserved
   * connections stay as they are.
   */
  adapt(limit: number): void {
    this.#adapted = limit;
    this.#setUnreserved();
  }

  #setUnreserved(): void {
    const { maxConnections, reservedConnections } = this.#limits;
    const unreserved = maxConnections - reservedConnections;
    const adapted = Math.min(unreserved, Math.max(1, this.#adapted));
    this.#unreserved = this.isHalved && adapted > 1 ? Math.floor(adapted / 2) : adapted;
  }

  /** True when the lane `admin` is counted apart. */
  get isSplit(): boolean {
    return this.#reserved > 0;
  }

  /** The number of leases. */
  get leased(): number {
    return this.#admin + this.#others;
  }

  /** Counts a lease in. */
  lease(lane: Lane): void {
    if (lane === "admin") this.#admin++;
    else this.#others++;
  }

  /** Counts a lease out. */
  release(lane: Lane): void {
    if (lane === "admin") this.#admin--;
    else this.#others--;
  }

  /** Returns how many more leases a lane may have. Below zero after the limits were lowered. */
  room(lane: Lane): number {
    if (this.#reserved === 0) return this.#unreserved - this.#admin - this.#others;
    return lane === "admin" ? this.#reserved - this.#admin : this.#unreserved - this.#others;
  }

  /** Returns how many of the waiters could get a lease now, given enough resources. */
  demand(adminWaiting: number, othersWaiting: number): number {
    if (this.#reserved === 0) return Math.max(0, Math.min(adminWaiting + othersWaiting, this.room("normal")));
    return Math.max(0, Math.min(adminWaiting, this.room("admin"))) +
      Math.max(0, Math.min(othersWaiting, this.room("normal")));
  }
}
