/**
 * The events of a manager.
 *
 * @module
 */
import type { ErrorSource, PoolEvents } from "../pool/mod.ts";
import type { CircuitEvents } from "../resilience/mod.ts";
import type { ServerState } from "./connection/session.ts";
import type { PostgresHealth } from "./postgres_pool.ts";

/** The events of a manager, by name: its own, and those of its pool. A `resourceId` is the id of a connection. */
export interface ManagerEvents extends Omit<PoolEvents, "error"> {
  /** A health check has ended. */
  healthCheck: PostgresHealth;
  /** A health check has failed. */
  healthCheckFailed: Error;
  /** An error that no caller receives, or not in full: a connection broke, could not be created, or was closed. */
  error: {
    readonly error: Error;
    /** The source of the error; `settings` for a setting of a caller's role. */
    readonly source: ErrorSource | "settings";
    /** The connection that broke or was closed; `undefined` when it concerns none that was open. */
    readonly connectionId?: number | undefined;
  };
  /** The database answers again. */
  recovered: {
    /** The time for which it did not answer, in ms. */
    readonly downMs: number;
  };
  /** A connection was created, or the server has reported another state: it was promoted, for example. */
  serverState: ServerState;
  /** The circuit opened: acquires that no open connection can serve are rejected. */
  circuitOpened: CircuitEvents["opened"];
  /** An attempt to connect is under way while the circuit is open. */
  circuitHalfOpened: CircuitEvents["halfOpened"];
  /** The circuit closed: every acquire is admitted. */
  circuitClosed: CircuitEvents["closed"];
}
