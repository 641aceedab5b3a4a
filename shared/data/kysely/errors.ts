/**
 * The errors of the Kysely dialect. Errors of statements are those of `shared/postgres`.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * A feature of Kysely that does not exist on a pooled connection.
 *
 * @cause The message names the feature.
 * @fix Use what the message names instead.
 * @sample new KyselyUnsupportedError('Cannot abort with "kill session": use "cancel query", which ends the statement')
 */
export class KyselyUnsupportedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "KYSELY_UNSUPPORTED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;
}

/**
 * A statement of a Kysely instance whose `destroy()` was called.
 *
 * @cause `destroy()` was called, or the block of an `await using` was left.
 * @fix Keep one instance for as long as its manager lives; `destroy()` does not shut the manager down.
 * @sample new KyselyDestroyedError()
 */
export class KyselyDestroyedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "KYSELY_DESTROYED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** Creates the error. */
  constructor() {
    super("Cannot run the statement: this Kysely instance was destroyed");
  }
}
