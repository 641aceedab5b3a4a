/**
 * The error of a connection log. What it cannot write is never an error of what it logs.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * A connection log was used after it was closed.
 *
 * @cause `watch()` was called after `close()`.
 * @fix Create another log, or close it later.
 * @sample new ConnectionLogClosedError()
 */
export class ConnectionLogClosedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECTION_LOG_CLOSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** Creates the error. */
  constructor() {
    super("Cannot watch a manager: the connection log is closed. Create another one");
  }
}
