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

/** What few leases have; one object apart keeps the others small. */
interface Rare {
  stack?: string;
  leaked?: boolean;
  revoked?: boolean;
  lost?: { readonly reason: unknown };
  onLost?: ((reason: unknown) => void) | undefined;
  controller?: AbortController;
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
  /** The lane it was acquired in. */
  readonly lane: Lane;
  /** When it began, in ms of the pool's clock. */
  readonly acquiredAt: number;

  #slot: Slot<T> | undefined;
  #rare: Rare | undefined;

  constructor(slot: Slot<T>, lane: Lane, acquiredAt: number, stack: string | undefined) {
    this.lane = lane;
    this.acquiredAt = acquiredAt;
    this.#slot = slot;
    this.#rare = stack === undefined ? undefined : { stack };
  }

  /** The state of the slot whose resource is lent. */
  get kind(): "lent" {
    return "lent";
  }

  /**
   * The resource, while the lease lasts.
   *
   * @throws {LeaseReleasedError} after it has ended.
   */
  get resource(): T {
    if (!this.#slot) throw new LeaseReleasedError();
    return this.#slot.resource;
  }

  /** Whether the lease still lasts. */
  get active(): boolean {
    return this.#slot !== undefined;
  }

  /** Where it was acquired, if the pool captures that. */
  get stack(): string | undefined {
    return this.#rare?.stack;
  }

  /** Whether it was reported as leaked. */
  get leaked(): boolean {
    return this.#rare !== undefined && this.#rare.leaked === true;
  }

  /**
   * Aborts when the resource dies while it is lent, with a
   * `ResourceInvalidError`, or when the pool takes it back at its shutdown
   * deadline, with a `LeaseRevokedError`. Does not abort at release.
   */
  get signal(): AbortSignal {
    const rare = this.#rare ??= {};
    if (!rare.controller) {
      rare.controller = new AbortController();
      if (rare.lost) rare.controller.abort(rare.lost.reason);
    }
    return rare.controller.signal;
  }

  /**
   * Called, once, where {@linkcode signal} aborts, and at once where it has: for
   * a holder that needs no signal of its own, since one costs more than the rest
   * of a lease.
   */
  set onLost(listener: (reason: unknown) => void) {
    const rare = this.#rare ??= {};
    rare.onLost = listener;
    if (rare.lost) listener(rare.lost.reason);
  }

  /**
   * Gives the resource back.
   *
   * @throws {DoubleReleaseError} when the lease was released already.
   * @throws {LateReleaseError} when the pool had taken the resource back.
   */
  release(options?: ReleaseOptions): void {
    const slot = this.#slot;
    if (!slot) throw this.#rare?.revoked ? new LateReleaseError() : new DoubleReleaseError();
    this.#slot = undefined;
    slot.owner.giveBack(this, slot, options?.destroy === true);
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

  /** For the pool: notes that it was reported. */
  markLeaked(): void {
    (this.#rare ??= {}).leaked = true;
  }

  /** For the pool: tells the holder that the resource is no good any more. Returns what its listener threw. */
  warn(reason: unknown): { readonly error: unknown } | undefined {
    const rare = this.#rare ??= {};
    if (rare.lost) return undefined;
    rare.lost = { reason };
    rare.controller?.abort(reason);
    try {
      rare.onLost?.(reason);
    } catch (error) {
      return { error };
    }
    return undefined;
  }

  /** For the pool: ends the lease without its holder. Returns what its listener threw. */
  revoke(reason: unknown): { readonly error: unknown } | undefined {
    this.#slot = undefined;
    (this.#rare ??= {}).revoked = true;
    return this.warn(reason);
  }
}
