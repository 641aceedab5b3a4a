/**
 * The extension surface of the pool: the hooks that create, validate, reset and
 * destroy a resource. Nothing else couples the pool to what it pools.
 *
 * @module
 */

/** The argument of {@linkcode ResourceFactory.create}. */
export interface CreateContext {
  /** Aborts when the pool waits no longer: at `createTimeoutMs`, or when it is shut down. */
  readonly signal: AbortSignal;
  /**
   * To be called by the resource when it dies, idle or leased, for example when
   * its socket closes. An idle one is destroyed at once, and replaced where the
   * floor or a waiter needs it. The holder of a leased one is notified through
   * its lease, and the resource is destroyed at release. Further calls do
   * nothing.
   */
  readonly invalidate: (reason?: unknown) => void;
}

/**
 * Creates, validates, resets and destroys the resources of one pool. A hook that
 * has nothing to wait for may return its result instead of a promise; its caller
 * then continues at once.
 */
export interface ResourceFactory<T extends object> {
  /**
   * Creates a resource, within `createTimeoutMs`.
   *
   * @throws Transient failures (refused, timed out, too many connections) are retried with backoff while an acquire
   * waits; others reject the acquire with {@linkcode CreateFailedError}.
   */
  create(context: CreateContext): T | PromiseLike<T>;
  /**
   * Returns whether an idle resource still works. Called before a lease when the
   * resource was idle for longer than `validateAfterIdleMs`. `false`, an error,
   * or no result within `validateTimeoutMs` destroys it.
   */
  validate?(resource: T): boolean | PromiseLike<boolean>;
  /**
   * Brings a released resource back to its initial state. An error, or no result
   * within `resetTimeoutMs`, destroys it. The value is ignored.
   */
  reset?(resource: T): void | PromiseLike<void>;
  /**
   * Destroys a resource; called exactly once for each. Its slot is held until
   * this settles, or until `destroyTimeoutMs`, when the resource counts as
   * abandoned.
   */
  destroy(resource: T): void | PromiseLike<void>;
}
