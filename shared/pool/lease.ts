/**
 * One holder's exclusive, bounded right to a resource.
 *
 * The holder gets a {@linkcode Lease}; what the pool does to one goes through the functions of this module, which are
 * not exported from the folder. Nothing that can be reached from a lease, casts included, may change another lease or
 * the pool: state is in private fields, and the prototype is frozen.
 *
 * @module
 */
import { DoubleReleaseError, LateReleaseError, LeaseReleasedError } from "./errors.ts";
import type { AcquireLane } from "./lane.ts";
import type { Slot } from "./slot.ts";

/** Options of {@linkcode Lease.release}. */
export interface ReleaseOptions {
  /** Destroys the resource instead of reusing it, because it is broken. Default: false. */
  destroy?: boolean;
}

/**
 * One holder's exclusive right to a resource, from its acquire to its release.
 *
 * ```ts
 * await using lease = await pool.lease();
 * await lease.resource.work();
 * ```
 */
export interface Lease<T extends object> extends Disposable, AsyncDisposable {
  /** The number of this lease in the events of its pool (`leaseId`), from 1; 0 for a probe, which emits none. */
  readonly id: number;
  /** The lane it was acquired in. */
  readonly lane: AcquireLane;
  /** The instant at which it began, in ms of the pool's clock. */
  readonly acquiredAt: number;
  /** True until it is released or revoked. */
  readonly active: boolean;
  /**
   * The resource, while the lease is active.
   *
   * @throws {LeaseReleasedError} after it was released or revoked.
   */
  readonly resource: T;
  /**
   * Aborts when the resource dies while it is leased, with a
   * `ResourceInvalidError`, or when the pool revokes the lease at its shutdown
   * deadline, with a `LeaseRevokedError`. Does not abort at release.
   */
  readonly signal: AbortSignal;
  /**
   * Calls `listener` once when {@linkcode signal} aborts, at once if it has. For
   * a holder that needs no signal: creating one costs more than the rest of a
   * lease.
   */
  onLost(listener: (reason: unknown) => void): void;
  /**
   * Releases the resource to the pool.
   *
   * @throws {DoubleReleaseError} when the lease was already released.
   * @throws {LateReleaseError} when the pool had revoked the lease.
   */
  release(options?: ReleaseOptions): void;
  /** Calls {@linkcode release}, unless the lease has ended. */
  [Symbol.dispose](): void;
  /** Calls {@linkcode release}, unless the lease has ended. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The share of a lane that a lease takes, until it ends. */
export interface LeaseShare {
  /** Ends that. */
  release(): void;
}

/** State that few leases have; a separate object keeps the others small. */
interface Extras {
  stack?: string;
  share?: LeaseShare;
  leaked?: boolean;
  revoked?: boolean;
  lost?: { readonly reason: unknown };
  onLost?: ((reason: unknown) => void) | undefined;
  controller?: AbortController;
}

/** An error that a holder's listener threw. */
export interface Thrown {
  readonly error: unknown;
}

/**
 * The pool's access to the private state of leases. The pool reads nothing of a
 * lease in another way: a holder can define properties of its own on one.
 */
interface LeaseAccess {
  /** Returns the lane. */
  laneOf(lease: LeaseRecord<object>): AcquireLane;
  /** Returns the number of the lease. */
  idOf(lease: LeaseRecord<object>): number;
  /** Returns when the lease began, in ms of the pool's clock. */
  acquiredAtOf(lease: LeaseRecord<object>): number;
  /** Returns the stack of the acquire, if the pool captures it. */
  stackOf(lease: LeaseRecord<object>): string | undefined;
  /** Returns the share that the lease takes, where flows share the lanes. */
  shareOf(lease: LeaseRecord<object>): LeaseShare | undefined;
  /** Notes the share that the lease takes. */
  setShare(lease: LeaseRecord<object>, share: LeaseShare): void;
  /** Returns whether the lease was reported as leaked. */
  isLeaked(lease: LeaseRecord<object>): boolean;
  /** Notes that the lease was reported as leaked. */
  markLeaked(lease: LeaseRecord<object>): void;
  /** Notifies the holder, once, that the resource is no longer usable. Returns what its listener threw. */
  notifyLost(lease: LeaseRecord<object>, reason: unknown): Thrown | undefined;
  /** Ends the lease without its holder. Returns what its listener threw. */
  revoke(lease: LeaseRecord<object>, reason: unknown): Thrown | undefined;
}

/** See {@linkcode LeaseAccess}. */
export let leaseAccess: LeaseAccess;

/** The {@linkcode Lease} of a pool. */
export class LeaseRecord<T extends object> implements Lease<T> {
  #slot: Slot<T> | undefined;
  readonly #lane: AcquireLane;
  readonly #acquiredAt: number;
  readonly #id: number;
  #extras: Extras | undefined;

  constructor(slot: Slot<T>, lane: AcquireLane, acquiredAt: number, id: number, stack: string | undefined) {
    this.#slot = slot;
    this.#lane = lane;
    this.#acquiredAt = acquiredAt;
    this.#id = id;
    this.#extras = stack === undefined ? undefined : { stack };
  }

  get id(): number {
    return this.#id;
  }

  get lane(): AcquireLane {
    return this.#lane;
  }

  get acquiredAt(): number {
    return this.#acquiredAt;
  }

  get active(): boolean {
    return this.#slot !== undefined;
  }

  get resource(): T {
    if (!this.#slot) throw new LeaseReleasedError();
    return this.#slot.resource;
  }

  get signal(): AbortSignal {
    const extras = this.#extras ??= {};
    if (!extras.controller) {
      extras.controller = new AbortController();
      if (extras.lost) extras.controller.abort(extras.lost.reason);
    }
    return extras.controller.signal;
  }

  onLost(listener: (reason: unknown) => void): void {
    const extras = this.#extras ??= {};
    if (extras.lost) return listener(extras.lost.reason);
    const earlier = extras.onLost;
    extras.onLost = earlier
      ? (reason) => {
        try {
          earlier(reason);
        } finally {
          listener(reason);
        }
      }
      : listener;
  }

  release(options?: ReleaseOptions): void {
    // Read first: a getter that throws, or releases, must find the lease as it was.
    const destroy = options?.destroy === true;
    const slot = this.#slot;
    if (!slot) throw this.#extras?.revoked ? new LateReleaseError() : new DoubleReleaseError();
    this.#slot = undefined;
    slot.owner.release(this, slot, this.#lane, destroy);
  }

  [Symbol.dispose](): void {
    if (this.#slot) this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }

  static {
    Object.freeze(this.prototype);
    const notifyLost = (lease: LeaseRecord<object>, reason: unknown): Thrown | undefined => {
      const extras = lease.#extras ??= {};
      if (extras.lost) return undefined;
      extras.lost = { reason };
      extras.controller?.abort(reason);
      try {
        extras.onLost?.(reason);
      } catch (error) {
        return { error };
      }
      return undefined;
    };
    leaseAccess = {
      laneOf: (lease) => lease.#lane,
      idOf: (lease) => lease.#id,
      acquiredAtOf: (lease) => lease.#acquiredAt,
      stackOf: (lease) => lease.#extras?.stack,
      shareOf: (lease) => lease.#extras?.share,
      setShare: (lease, share) => void ((lease.#extras ??= {}).share = share),
      isLeaked: (lease) => lease.#extras !== undefined && lease.#extras.leaked === true,
      markLeaked: (lease) => void ((lease.#extras ??= {}).leaked = true),
      notifyLost,
      revoke: (lease, reason) => {
        lease.#slot = undefined;
        (lease.#extras ??= {}).revoked = true;
        return notifyLost(lease, reason);
      },
    };
  }
}
