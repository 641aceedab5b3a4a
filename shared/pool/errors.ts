/**
 * Everything the pool refuses, by name. Each class has one stable `code`; the
 * message says what was asked, how the pool stood and what to do.
 *
 * @module
 */

/** The codes of the errors of this folder; those built on it add their own. */
export type PoolErrorCode =
  | "ACQUIRE_TIMEOUT"
  | "QUEUE_FULL"
  | "POOL_CLOSED"
  | "ACQUIRE_ABORTED"
  | "CREATE_FAILED"
  | "CREATE_TIMEOUT"
  | "NO_RESOURCE"
  | "HOOK_TIMEOUT"
  | "RESOURCE_INVALID"
  | "LEASE_RELEASED"
  | "LEASE_REVOKED"
  | "DOUBLE_RELEASE"
  | "FOREIGN_RELEASE"
  | "LATE_RELEASE"
  | "CONFIG_INVALID";

/** The base of every error of this library. */
export class PoolError extends Error {
  /** Stable across releases; what programs should test for. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/**
 * An acquire reached its deadline. The message begins with
 * `Connection acquire timeout` and tells how the pool stood; `cause` is the
 * last failed creation, where one failed while this acquire waited.
 */
export class AcquireTimeoutError extends PoolError {
  constructor(message: string, options?: ErrorOptions) {
    super("ACQUIRE_TIMEOUT", message, options);
  }
}

/**
 * An {@linkcode AcquireTimeoutError} as its constructor makes it, in half the
 * time: a crowd that expires at once needs thousands.
 */
export function acquireTimeout(message: string, options?: ErrorOptions): AcquireTimeoutError {
  // Going up and down the constructors of a chain of classes costs V8 more than the error itself.
  const error = Reflect.construct(Error, [message, options], AcquireTimeoutError);
  return Object.assign(error, { code: "ACQUIRE_TIMEOUT", name: AcquireTimeoutError.name });
}

/** `maxWaiters` acquires wait already; this one was refused at once. */
export class QueueFullError extends PoolError {
  constructor(message: string) {
    super("QUEUE_FULL", message);
  }
}

/** The pool is shutting down or shut down. */
export class PoolClosedError extends PoolError {
  constructor(message = "The pool is shut down and lends nothing any more") {
    super("POOL_CLOSED", message);
  }
}

/** The caller's signal aborted an acquire; `cause` is the signal's reason. */
export class AcquireAbortedError extends PoolError {
  constructor(reason: unknown) {
    super("ACQUIRE_ABORTED", "The acquire was aborted by its caller", { cause: reason });
  }
}

/** The factory failed for good (bad key, bad URL, refused credentials); `cause` is what it threw. */
export class CreateFailedError extends PoolError {
  constructor(cause: unknown) {
    super("CREATE_FAILED", `The resource could not be created: ${messageOf(cause)}`, { cause });
  }
}

/** `create` did not settle within `createTimeoutMs`. */
export class CreateTimeoutError extends PoolError {
  constructor(timeoutMs: number) {
    super("CREATE_TIMEOUT", `The resource was not created within ${timeoutMs} ms (createTimeoutMs)`);
  }
}

/** `create` was done, and yielded nothing that could be lent. */
export class NoResourceError extends PoolError {
  constructor(yielded: unknown) {
    super("NO_RESOURCE", `create yielded ${yielded === null ? "null" : typeof yielded}; a resource is an object`);
  }
}

/** A `validate`, `reset` or `destroy` did not settle within its timeout. */
export class HookTimeoutError extends PoolError {
  constructor(hook: string, timeoutMs: number) {
    super("HOOK_TIMEOUT", `${hook} did not settle within ${timeoutMs} ms (${hook}TimeoutMs)`);
  }
}

/** The resource said that it is no good any more. One that is lent is destroyed at release. */
export class ResourceInvalidError extends PoolError {
  constructor(reason: unknown) {
    const why = reason === undefined ? "" : `: ${messageOf(reason)}`;
    super("RESOURCE_INVALID", `The resource became invalid${why}`, { cause: reason });
  }
}

/** A lease was used after it had ended. */
export class LeaseReleasedError extends PoolError {
  constructor(message = "This lease was released and cannot be used any more: acquire again") {
    super("LEASE_RELEASED", message);
  }
}

/** The pool took the resource back before its holder gave it up, because it was shut down. */
export class LeaseRevokedError extends PoolError {
  constructor() {
    super("LEASE_REVOKED", "The pool was shut down and took this lease back at its shutdown deadline");
  }
}

/** The same lease was released twice. Nothing was changed. */
export class DoubleReleaseError extends PoolError {
  constructor() {
    super("DOUBLE_RELEASE", "This lease was released already: release each lease once");
  }
}

/** The pool never lent what was given back. Nothing was changed. */
export class ForeignReleaseError extends PoolError {
  constructor() {
    super("FOREIGN_RELEASE", "This pool did not lend what was given back: release to the pool you acquired from");
  }
}

/** The lease was given back after the pool had taken it back itself. Nothing was changed. */
export class LateReleaseError extends PoolError {
  constructor() {
    super("LATE_RELEASE", "This lease ended when the pool was shut down, before it was released");
  }
}

/** One bad value in a configuration. */
export interface ConfigIssue {
  /** The option or variable, e.g. `maxConnections`. */
  readonly path: string;
  /** What it held and what it may hold. */
  readonly message: string;
}

/** A configuration has values that are out of range; all of them are listed. */
export class ConfigError extends PoolError {
  /** Each bad value. */
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], what = "pool configuration") {
    const lines = issues.map(({ path, message }) => `  ${path}: ${message}`);
    super("CONFIG_INVALID", `Invalid ${what}:\n${lines.join("\n")}`);
    this.issues = issues;
  }
}

/** The message of whatever was thrown. Never throws itself: not everything can be made into text. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return `a thrown ${typeof error} that has no text`;
  }
}

/**
 * Makes errors without a stack trace. The trace of an error made in a timer
 * shows the pool, never its caller, and would cost far more than the error:
 * ten thousand acquires that expire at once must not stall the isolate.
 */
export function withoutStack<R>(make: () => R): R {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
