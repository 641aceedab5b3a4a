/**
 * How a pool stands.
 *
 * @module
 */

/** The counters of the specification, at one instant. */
export interface ConnectionPoolStats {
  /** Slots taken: resources lent, idle, being made, checked or closed. */
  readonly totalConnections: number;
  /** Resources lent. */
  readonly activeConnections: number;
  /** Resources free to be lent. */
  readonly idleConnections: number;
  /** Acquires that wait. */
  readonly waitingForConnection: number;
  /** Resources lent since the pool was made. */
  readonly totalAcquired: number;
  /** Resources given back since the pool was made. */
  readonly totalReleased: number;
  /** Resources made since the pool was made. */
  readonly totalCreated: number;
  /** Resources closed since the pool was made. */
  readonly totalDestroyed: number;
}

/** The counters of the specification and some more, at one instant. */
export interface PoolStats extends ConnectionPoolStats {
  /** Resources being made. */
  readonly creatingConnections: number;
  /** Resources being closed. */
  readonly closingConnections: number;
  /** Resources given up because their `destroy` hung. */
  readonly totalAbandoned: number;
  /** Acquires that reached their deadline. */
  readonly totalTimeouts: number;
  /** The most resources that may exist. */
  readonly maxConnections: number;
}

/** An immutable {@linkcode PoolStats}. */
export function snapshot(stats: PoolStats): PoolStats {
  return Object.freeze(stats);
}
