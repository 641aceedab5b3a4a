/**
 * How many resources there may be, and for whom: the one part of a
 * configuration that can change while a pool runs.
 *
 * @module
 */
import type { ConfigIssue } from "./errors.ts";

/** The bounds of a pool's size. */
export interface PoolLimits {
  /** No more resources than this exist at once. */
  readonly maxConnections: number;
  /** So many are kept, however idle. */
  readonly minConnections: number;
  /** So many of `maxConnections` are lent to the lane `admin` only, and that lane has only these. */
  readonly reservedConnections: number;
}

/** What is wrong with bounds that are fine alone and do not go together. */
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
 * What is lent, against what may be. With reserved connections, the lane
 * `admin` and all others have separate accounts; without, they share one.
 */
export class Ledger {
  #limits: PoolLimits;
  #admin = 0;
  #others = 0;
  /** The limits of the two accounts, taken apart: they are asked at each lease. */
  #reserved = 0;
  #unreserved = 0;

  constructor(limits: PoolLimits) {
    this.limits = this.#limits = Object.freeze(limits);
  }

  /** The bounds in force. */
  get limits(): PoolLimits {
    return this.#limits;
  }

  set limits(limits: PoolLimits) {
    this.#limits = limits;
    this.#reserved = limits.reservedConnections;
    this.#unreserved = limits.maxConnections - limits.reservedConnections;
  }

  /** Whether the lane `admin` has an account of its own. */
  get separate(): boolean {
    return this.#reserved > 0;
  }

  /** How many resources are lent. */
  get lent(): number {
    return this.#admin + this.#others;
  }

  /** Notes that a resource was lent (`+1`) or given back (`-1`). */
  add(admin: boolean, change: 1 | -1): void {
    if (admin) this.#admin += change;
    else this.#others += change;
  }

  /** How many more may be lent to the lane `admin`, or to the others. Below zero after the limits have shrunk. */
  room(admin: boolean): number {
    if (this.#reserved === 0) return this.#unreserved - this.#admin - this.#others;
    return admin ? this.#reserved - this.#admin : this.#unreserved - this.#others;
  }

  /** How many of those who wait could be lent something now, if there were resources enough. */
  demand(adminWaiting: number, othersWaiting: number): number {
    if (this.#reserved === 0) return Math.max(0, Math.min(adminWaiting + othersWaiting, this.room(false)));
    return Math.max(0, Math.min(adminWaiting, this.room(true))) +
      Math.max(0, Math.min(othersWaiting, this.room(false)));
  }
}
