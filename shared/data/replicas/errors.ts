/**
 * The errors of a group of targets.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR, SERVICE_UNAVAILABLE } from "../../resilience/mod.ts";

const UNAVAILABLE: HttpDescription = { ...SERVICE_UNAVAILABLE, detail: "The database could not be reached" };

/**
 * No target was a primary in time. The write was not sent.
 *
 * @cause A failover is under way, or no target can be reached.
 * @fix Retry. If it lasts, promote a standby, or start the primary.
 * @sample new NoPrimaryError(5_000, ["a (down)", "b (standby)"])
 */
export class NoPrimaryError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "NO_PRIMARY";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNAVAILABLE;

  /**
   * Creates the error.
   *
   * @param waitedMs The time for which it was waited, in ms.
   * @param states The targets, with their states.
   * @param options The cause.
   */
  constructor(waitedMs: number, states: readonly string[], options: ErrorOptions = {}) {
    super(
      `No primary was found within ${waitedMs} ms among ${states.join(", ")}: a failover may be under way. Retry; if ` +
        "this lasts, promote a standby, or start the primary",
      options,
    );
  }
}

/**
 * The connection was on a server of another role than the call needs. Nothing was sent on it.
 *
 * @cause The target was demoted or promoted just now.
 * @fix Retry: the group knows the new roles.
 * @sample new TargetRoleError("db1", "standby")
 */
export class TargetRoleError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TARGET_ROLE";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNAVAILABLE;

  /**
   * Creates the error.
   *
   * @param target The name of the target.
   * @param role What its server is.
   */
  constructor(target: string, role: string) {
    super(`Cannot use target ${target}: its server is ${role} now. Retry, so that another target is used`);
  }
}

/**
 * A target has stopped responding while a read was in flight on it.
 *
 * @cause The server or the network hangs, and no other target could serve the read.
 * @fix Retry, and check the target.
 * @sample new TargetDownError("db1", new Error("no response within 1000 ms"))
 */
export class TargetDownError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TARGET_DOWN";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNAVAILABLE;

  /**
   * Creates the error.
   *
   * @param target The name of the target.
   * @param cause The failure of its check.
   */
  constructor(target: string, cause: unknown) {
    super(`Target ${target} has stopped responding while a read was in flight on it: retry, and check the target`, {
      cause,
    });
  }
}

/**
 * A scope has no pool for a target. Nothing was sent: it would have run as another identity than that of the scope.
 *
 * @cause The targets of a group changed after the scope began. The library does not do that.
 * @fix Begin another scope, and report it.
 * @sample new TargetUnknownError("db3")
 */
export class TargetUnknownError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TARGET_UNKNOWN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param target The name of the target.
   */
  constructor(target: string) {
    super(`Cannot use target ${target}: the scope has no pool for it. Begin another scope, and report this`);
  }
}
