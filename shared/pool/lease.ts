/**
 * One holder's exclusive, bounded right to a resource.
 *
 * @module
 */
import { DoubleReleaseError, LateReleaseError, LeaseReleasedError } from "./errors.ts";
import type { Lane } from "./lane.ts";
import type { Slot } from "./slot.ts";

/** How a resource is given back. */
export interface ReleaseOptions {
  /** The resource is broken: close it and lend it to nobody else. Default: false. */
  destroy?: boolean;
}

/** The pool, as a lease sees it. */
export interface LeaseOwner<T extends object> {
  /** Takes the resource of an ended lease back. */
  giveBack(lease: Lease<T>, slot: Slot<T>, destroy: boolean): void;
}

/**
 * One holder's exclusive right to a resource, from its acquire to its release.
 *
 * ```ts
 * await using lease = await pool.lease();
 * await lease.resource.work();
 * ```
 */
export class Lease<T extends object> implements Disposable, AsyncDisposable {
  /** The state of the slot whose resource is lent. */
  readonly kind = "lent";
  /** When it began, in ms of the pool's clock. */
  readonly acquiredAt: number;
  /** The lane it was acquired in. */
  readonly lane: Lane;
  /** Where it was acquired, if the pool captures that. */
  readonly stack: string | undefined;
  /** Whether it was reported as leaked. */
  leaked = false;
  /**
   * Called, once, where {@linkcode signal} aborts: for a holder that needs no
   * signal of its own, since one costs more than the rest of a lease.
   */
  onLost: ((reason: unknown) => void) | undefined = undefined;

  readonly #owner: LeaseOwner<T>;
  readonly #resource: T;
  #slot: Slot<T> | undefined;
  #revoked = false;
  #controller: AbortController | undefined = undefined;
  #reason: unknown = undefined;

  constructor(owner: LeaseOwner<T>, slot: Slot<T>, lane: Lane, acquiredAt: number, stack: string | undefined) {
    this.#owner = owner;
    this.#slot = slot;
    this.#resource = slot.resource;
    this.lane = lane;
    this.acquiredAt = acquiredAt;
    this.stack = stack;
  }

  /**
   * The resource, while the lease lasts.
   *
   * @throws {LeaseReleasedError} after it has ended.
   */
  get resource(): T {
    if (!this.#slot) throw new LeaseReleasedError();
    return this.#resource;
  }

  /** Whether the lease still lasts. */
  get active(): boolean {
    return this.#slot !== undefined;
  }

  /**
   * Aborts when the resource dies while it is lent, with a
   * `ResourceInvalidError`, or when the pool takes it back at its shutdown
   * deadline, with a `LeaseRevokedError`. Does not abort at release.
   */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /**
   * Gives the resource back.
   *
   * @throws {DoubleReleaseError} when the lease was released already.
   * @throws {LateReleaseError} when the pool had taken the resource back.
   */
  release(options?: ReleaseOptions): void {
    const slot = this.#slot;
    if (!slot) throw this.#revoked ? new LateReleaseError() : new DoubleReleaseError();
    this.#slot = undefined;
    this.#owner.giveBack(this, slot, options?.destroy === true);
  }

  /** {@linkcode release}, unless the lease has ended. */
  [Symbol.dispose](): void {
    if (this.#slot) this.release();
  }

  /** {@linkcode release}, unless the lease has ended. */
  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }

  /** For the pool: tells the holder, through the signal, that the resource is no good any more. */
  warn(reason: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.onLost?.(reason);
  }

  /** For the pool: ends the lease without its holder. */
  revoke(reason: unknown): void {
    this.#slot = undefined;
    this.#revoked = true;
    this.warn(reason);
  }
}
