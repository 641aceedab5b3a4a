/**
 * The errors of the resources of a pool: of their creation, of their other hooks, and of their end.
 *
 * @module
 */
import { type HttpDescription, INTERNAL_ERROR, messageOf, SERVICE_UNAVAILABLE } from "../resilience/mod.ts";
import { PoolError } from "./errors.ts";

/**
 * The factory failed permanently; `cause` is what it threw.
 *
 * @cause A wrong key, URL or password, or another failure that a retry does not fix.
 * @fix Read `cause` and correct the configuration.
 * @sample new CreateFailedError(new Error("password authentication failed"))
 */
export class CreateFailedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CREATE_FAILED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param cause What `create` threw.
   */
  constructor(cause: unknown) {
    super(`Cannot create a resource: ${messageOf(cause)}`, { cause });
  }

  /** The response to `cause` where that is a refusal that passes, such as a pooler's. */
  override get http(): HttpDescription {
    const { cause } = this;
    return cause instanceof PoolError && cause.http.status === 503 ? cause.http : INTERNAL_ERROR;
  }
}

/**
 * `create` did not settle within `createTimeoutMs`.
 *
 * @cause The server is slow or unreachable.
 * @fix Check that the server is up, or raise `createTimeoutMs`.
 * @sample new CreateTimeoutError(5_000)
 */
export class CreateTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CREATE_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    ...SERVICE_UNAVAILABLE,
    detail: "No connection could be created in time",
  };

  /**
   * Creates the error.
   *
   * @param timeoutMs The `createTimeoutMs` of the pool, in ms.
   */
  constructor(timeoutMs: number) {
    super(`Cannot create a resource: create() did not settle within ${timeoutMs} ms (createTimeoutMs)`);
  }
}

/**
 * `create` resolved with something that cannot be leased.
 *
 * @cause `ResourceFactory.create()` returned a primitive, `null` or `undefined`.
 * @fix Return an object from `create()`.
 * @sample new NoResourceError(null)
 */
export class NoResourceError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "NO_RESOURCE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param received What `create` returned.
   */
  constructor(received: unknown) {
    super(`create() must return an object: received ${received === null ? "null" : typeof received}`);
  }
}

/**
 * `validate`, `reset` or `destroy` did not settle within its timeout.
 *
 * @cause The server is slow or unreachable, or the hook never settles.
 * @fix Check the hook, or raise the timeout that the message names.
 * @sample new HookTimeoutError("validate", 5_000)
 */
export class HookTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "HOOK_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param hook `validate`, `reset` or `destroy`.
   * @param timeoutMs Its time limit, in ms.
   */
  constructor(hook: string, timeoutMs: number) {
    super(`${hook}() did not settle within ${timeoutMs} ms (${hook}TimeoutMs)`);
  }
}

/**
 * A resource reported that it can no longer be used. A leased one is destroyed at release.
 *
 * @cause The factory called `invalidate()`, for example because the server closed the connection.
 * @fix Retry if the operation is idempotent. If it lasts, check the server.
 * @sample new ResourceInvalidError(new Error("connection reset"))
 */
export class ResourceInvalidError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "RESOURCE_INVALID";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param reason The argument of `invalidate`.
   */
  constructor(reason: unknown) {
    super(`The resource became invalid${reason === undefined ? "" : `: ${messageOf(reason)}`}`, { cause: reason });
  }
}
