/**
 * The error of a store of the fleet.
 *
 * @module
 */
import { type FailureKind, type HttpDescription, SERVICE_UNAVAILABLE } from "../../resilience/mod.ts";

/**
 * The cause of a {@linkcode FleetStoreError}. `missing`: the store does not exist in this project. `refused`: the store
 * rejects the key or the message. `full`: it takes no more isolates. `unavailable`: it cannot be reached, or is too slow.
 */
export type FleetStoreFailure = "missing" | "refused" | "full" | "unavailable";

/**
 * The store of the fleet did not take a report, or cannot be read. Only the log and operators see it: requests are not
 * affected.
 *
 * @cause The migration of the fleet is missing, the Data API or Redis is down or slow, or 500 isolates report already.
 * @fix Apply the migration `20260109090000_fleet.sql`, check the Data API or `REDIS_URL`, or set `POOL_FLEET=off`.
 * @sample new FleetStoreError("missing", "Cannot report to the fleet: the function pool_fleet_report does not exist")
 */
export class FleetStoreError extends Error {
  /** The code in logs. */
  static readonly code = "FLEET_UNAVAILABLE";
  /** The retry class. */
  static readonly retry = "transient";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = SERVICE_UNAVAILABLE;

  /** Stable across releases. */
  readonly code: string = FleetStoreError.code;
  /** The retry class. */
  readonly retry: FailureKind = FleetStoreError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = FleetStoreError.http;
  /** The name of the class. */
  override readonly name = "FleetStoreError";
  /** The cause, for programs. */
  readonly failure: FleetStoreFailure;

  /**
   * @param failure The cause, for programs.
   * @param message The explanation, for operators.
   */
  constructor(failure: FleetStoreFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
