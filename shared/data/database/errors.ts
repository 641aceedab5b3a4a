/**
 * The errors of the database facade.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * The database was used before it was initialized, or after it was shut down.
 *
 * @cause `initializeDatabase()` was not called, has not resolved, or has failed; or `shutdownDatabase()` was called.
 * @fix Await `initializeDatabase()` before the first use.
 * @sample new DatabaseNotInitializedError("new")
 */
export class DatabaseNotInitializedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "DATABASE_NOT_INITIALIZED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param state The state of the database.
   */
  constructor(state: "new" | "initializing" | "shut down") {
    const reason = {
      "new": "it is not initialized. Await initializeDatabase() first",
      "initializing": "it is being initialized. Await initializeDatabase() first",
      "shut down": "it was shut down. Await initializeDatabase() to use it again",
    };
    super(`Cannot use the database: ${reason[state]}`);
  }
}
