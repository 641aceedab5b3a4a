/**
 * The whole extension surface of the pool: how a resource is made, checked,
 * cleaned and closed. Nothing else couples the pool to what it pools.
 *
 * @module
 */

/** What {@linkcode ResourceFactory.create} is given. */
export interface CreateContext {
  /** Aborts when the creation is given up: at `createTimeoutMs`, or when the pool is shut down. */
  readonly signal: AbortSignal;
  /**
   * To be called by the resource when it dies, idle or lent (its socket closed,
   * say). An idle one is closed at once, and replaced where the floor or a waiter needs it; a lent one is told through its
   * lease's signal and destroyed at release. Calling it again does nothing.
   */
  readonly invalidate: (reason?: unknown) => void;
}

/** Makes, checks, cleans and closes the resources of one pool. */
export interface ResourceFactory<T extends object> {
  /**
   * Makes a resource. Returning it directly, where nothing has to be waited
   * for, spares its caller the queue. Fails within `createTimeoutMs`.
   *
   * @throws Transient failures (refused, timed out, too many connections) are
   * tried again with backoff while somebody waits; others reach their caller.
   */
  create(context: CreateContext): T | PromiseLike<T>;
  /**
   * Whether an idle resource still works. Asked before it is lent when it was
   * idle longer than `validateAfterIdleMs`; false, a throw, or no answer within
   * `validateTimeoutMs` destroys it.
   */
  validate?(resource: T): boolean | PromiseLike<boolean>;
  /**
   * Brings a resource that was given back into its first state. A throw, or no
   * answer within `resetTimeoutMs`, destroys it.
   */
  reset?(resource: T): void | PromiseLike<void>;
  /**
   * Closes a resource; called exactly once for each. Its slot stays taken until
   * this settles, or for `destroyTimeoutMs`, after which it counts as abandoned.
   */
  destroy(resource: T): void | PromiseLike<void>;
}
