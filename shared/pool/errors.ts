/**
 * The errors of the pool core: of acquires, leases and configurations. Each class declares its code, retry class and HTTP
 * response; the message says what failed, why, and what to do.
 *
 * @module
 */
import {
  type ErrorCodes,
  type FailureKind,
  type HttpDescription,
  INTERNAL_ERROR,
  SERVICE_BUSY,
} from "../resilience/mod.ts";

/** The codes of the errors of the pool core. */
export type PoolErrorCode = ErrorCodes<typeof import("./errors.ts") & typeof import("./resource_errors.ts")>;

/** The base of the errors of this library. A subclass declares the static members; see `docs/errors.md` for all. */
export abstract class PoolError extends Error {
  /** Stable across releases: what programs test for. */
  declare static readonly code: Uppercase<string>;
  /** The retry class; `undefined`: the error's own code or its cause decides. */
  declare static readonly retry: FailureKind | undefined;
  /** The HTTP response to the error. */
  declare static readonly http: HttpDescription;

  /** Stable across releases: what programs test for. */
  readonly code: Uppercase<string>;

  /**
   * Creates the error.
   *
   * @param code Default: the code of the class.
   */
  constructor(message: string, options?: ErrorOptions, code: Uppercase<string> = new.target.code) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }

  /** The retry class, as `classifyFailure` reads it; `undefined`: the code or the cause decides. */
  get retry(): FailureKind | undefined {
    return (this.constructor as typeof PoolError).retry;
  }

  /** The HTTP response to the error. */
  get http(): HttpDescription {
    return (this.constructor as typeof PoolError).http;
  }
}

/**
 * An acquire reached its deadline. The message begins with `Connection acquire timeout` and shows the pool's state;
 * `cause` is the last failed creation, if one failed while this acquire waited.
 *
 * @cause Every resource stayed leased, or none could be created, for the whole `acquireTimeoutMs`.
 * @fix Shorten the work done per lease, raise `maxConnections`, or retry after a moment. The message names the longest holder.
 * @sample new AcquireTimeoutError("Connection acquire timeout: no connection became available within 5000 ms")
 */
export class AcquireTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ACQUIRE_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http = {
    ...SERVICE_BUSY,
    detail: "Connection acquire timeout: every connection stayed in use",
  };
}

const ACQUIRE_TIMEOUT = { code: AcquireTimeoutError.code, name: AcquireTimeoutError.name };

/**
 * Creates an {@linkcode AcquireTimeoutError} in half the time of its constructor: a crowd that expires at once needs
 * thousands.
 */
export function acquireTimeout(message: string, options?: ErrorOptions): AcquireTimeoutError {
  // The constructors of a chain of classes cost V8 more than the error itself.
  const error = Reflect.construct(Error, [message, options], AcquireTimeoutError) as AcquireTimeoutError;
  return Object.assign(error, ACQUIRE_TIMEOUT);
}

/**
 * An acquire was rejected: the wait queue holds `maxWaiters`. It is rejected at once; with `fairShare`, also later, when
 * its flow has the most waiters and another flow comes.
 *
 * @cause More acquires arrive than the pool can serve.
 * @fix Raise `maxConnections` or `maxWaiters`, shorten the work done per lease, or shed load in front of the pool.
 * @sample new QueueFullError("The wait queue is full (maxWaiters: 1000)")
 */
export class QueueFullError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "QUEUE_FULL";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = { ...SERVICE_BUSY, detail: "The wait queue is full" };
}

/**
 * The pool is shutting down or shut down.
 *
 * @cause `shutdown()` was called, or the isolate is ending.
 * @fix Retry the request: the next one reaches another isolate. Do not acquire after `shutdown()`.
 * @sample new PoolClosedError()
 */
export class PoolClosedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "POOL_CLOSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http = {
    ...SERVICE_BUSY,
    title: "Service shutting down",
    detail: "This instance is shutting down",
  };

  /**
   * Creates the error.
   *
   * @param message Default: the acquire was rejected.
   */
  constructor(message = "Cannot acquire: the pool is shut down") {
    super(message);
  }
}

/**
 * The caller's signal aborted an acquire; `cause` is the signal's reason.
 *
 * @cause The `signal` option of the acquire aborted while it waited.
 * @fix None, if the abort was intended.
 * @sample new AcquireAbortedError(new DOMException("The signal has been aborted", "AbortError"))
 */
export class AcquireAbortedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ACQUIRE_ABORTED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = { ...SERVICE_BUSY, detail: "The wait for a connection was aborted" };

  /**
   * Creates the error.
   *
   * @param reason The reason of the signal.
   */
  constructor(reason: unknown) {
    super("The acquire was aborted by its signal", { cause: reason });
  }
}

/**
 * A lease was used after its release.
 *
 * @cause A client or connection was kept beyond its lease, for example in a global variable.
 * @fix Acquire again, and use a lease only between acquire and release.
 * @sample new LeaseReleasedError()
 */
export class LeaseReleasedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LEASE_RELEASED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param message Default: the lease was released.
   */
  constructor(message = "Cannot use this lease: it was released. Acquire again") {
    super(message);
  }
}

/**
 * The pool revoked a lease at its shutdown deadline.
 *
 * @cause The pool was shut down and the lease was not released before the deadline.
 * @fix Release leases sooner, or give `shutdown()` a longer deadline.
 * @sample new LeaseRevokedError()
 */
export class LeaseRevokedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LEASE_REVOKED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http = {
    ...SERVICE_BUSY,
    title: "Service shutting down",
    detail: "This instance was shut down",
  };

  constructor() {
    super("The lease was revoked: the pool was shut down and its deadline passed");
  }
}

/**
 * A lease was released twice. The second release changed nothing.
 *
 * @cause `release()` ran twice for one lease, for example explicitly and by `await using`.
 * @fix Release each lease once; prefer `await using`.
 * @sample new DoubleReleaseError()
 */
export class DoubleReleaseError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "DOUBLE_RELEASE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot release the lease: it was already released. Release each lease once");
  }
}

/**
 * A resource was released that this pool did not lease. The release changed nothing.
 *
 * @cause The resource belongs to another pool, or its lease has ended.
 * @fix Release to the pool the resource was acquired from.
 * @sample new ForeignReleaseError()
 */
export class ForeignReleaseError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "FOREIGN_RELEASE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot release the resource: it was not leased from this pool. Release it to the pool it came from");
  }
}

/**
 * A lease was released after the pool had revoked it. The release changed nothing.
 *
 * @cause The pool was shut down before the lease was released.
 * @fix Release leases sooner, or give `shutdown()` a longer deadline.
 * @sample new LateReleaseError()
 */
export class LateReleaseError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LATE_RELEASE";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot release the lease: the pool was shut down and revoked it before");
  }
}

/** One bad value in a configuration. */
export interface ConfigIssue {
  /** The option or variable, e.g. `maxConnections`. */
  readonly path: string;
  /** The value found and the values allowed. */
  readonly message: string;
}

/**
 * A configuration has bad values; the message and `issues` list all of them.
 *
 * @cause An option or environment variable is missing, unknown or out of range.
 * @fix Correct every value that the message lists.
 * @sample new ConfigError([{ path: "maxConnections", message: "is 0; it must be a whole number from 1" }])
 */
export class ConfigError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONFIG_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** Each bad value. */
  readonly issues: readonly ConfigIssue[];

  /**
   * Creates the error.
   *
   * @param what The thing that was configured. Default: `pool configuration`.
   */
  constructor(issues: readonly ConfigIssue[], what = "pool configuration") {
    const lines = issues.map(({ path, message }) => `  ${path}: ${message}`);
    super(`Invalid ${what}:\n${lines.join("\n")}`);
    this.issues = issues;
  }
}

/**
 * Creates errors without a stack trace. The trace of an error created in a timer shows the pool, never its caller, and
 * costs far more than the error: ten thousand acquires that expire at once must not stall the isolate.
 */
export function withoutStack<R>(create: () => R): R {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return create();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
