/**
 * Statistics of a pool.
 *
 * @module
 */

/** The statistics that the specification names, at one instant. */
export interface ConnectionPoolStats {
  /** Slots held: resources that are leased, idle, in a hook, being created, or closing. */
  readonly totalConnections: number;
  /** Leased resources. */
  readonly activeConnections: number;
  /** Idle resources. */
  readonly idleConnections: number;
  /** Waiters. */
  readonly waitingForConnection: number;
  /** Leases since the pool was created. */
  readonly totalAcquired: number;
  /** Leases that have ended since the pool was created. */
  readonly totalReleased: number;
  /** Resources created since the pool was created. */
  readonly totalCreated: number;
  /** Resources destroyed since the pool was created. */
  readonly totalDestroyed: number;
}

/** The statistics of a pool at one instant, immutable. The probe slot appears in none of them. */
export interface PoolStats extends ConnectionPoolStats {
  /** Resources being created. */
  readonly creatingConnections: number;
  /** Resources that are closing. */
  readonly closingConnections: number;
  /** Resources abandoned because their `destroy` hung. */
  readonly totalAbandoned: number;
  /** Acquires that timed out. */
  readonly totalTimeouts: number;
  /** With `fairShare`: the number of flows that wait. */
  readonly waitingFlows?: number;
  /** The number of times that memory was low, if it ever was. */
  readonly totalMemoryLow?: number;
  /** The maximum number of resources. */
  readonly maxConnections: number;
  /** The number of leases that may be out now: `maxConnections`, or less where the limit follows load. */
  readonly limit: number;
}
