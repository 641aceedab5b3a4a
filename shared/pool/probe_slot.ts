/**
 * The probe slot: one slot outside `maxConnections`, for health checks.
 *
 * A probe leases a resource that is created for it and destroyed at its
 * release. It takes no idle resource, since a newcomer would miss that one, and
 * leaves none. So a probe sees what a new caller of the factory would see, and
 * appears in no statistic and no event but `error`.
 *
 * @module
 */
import type { Timer } from "../resilience/mod.ts";
import { Creation, type CreationHandler } from "./creator.ts";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  LeaseRevokedError,
  PoolClosedError,
  QueueFullError,
} from "./errors.ts";
import { CreateFailedError, ResourceInvalidError } from "./resource_errors.ts";
import type { ErrorSource } from "./events.ts";
import { type Lease, leaseAccess, LeaseRecord } from "./lease.ts";
import type { PoolContext } from "./pool_host.ts";
import { Slot, type SlotOwner } from "./slot.ts";

/** A probe that waits for the slot or for its resource. */
interface ProbeWaiter<T extends object> {
  readonly resolve: (lease: Lease<T>) => void;
  readonly reject: (error: unknown) => void;
  /** In ms of the pool's clock. */
  readonly deadline: number;
  /** Rejects it with a timeout. */
  readonly expire: () => void;
  /** Drops its timer and its listener. */
  readonly stop: () => void;
}

function probeTimeout(timeoutMs: number): AcquireTimeoutError {
  return new AcquireTimeoutError(
    `Connection acquire timeout: the probe slot was not available within ${timeoutMs} ms; one probe runs at a time`,
  );
}

/** Leases the probe slot, to one holder at a time, first come, first served. */
export class ProbeSlot<T extends object> implements SlotOwner<T>, CreationHandler<T> {
  readonly #context: PoolContext<T>;
  readonly #onFree: () => void;
  readonly #waiters: ProbeWaiter<T>[] = [];
  /** The creation under way. */
  #creation: Creation<T> | undefined = undefined;
  /** The slot, while it is leased. */
  #leased: Slot<T> | undefined = undefined;
  /** True from the start of a creation until its resource has closed. */
  #held = false;
  #closed = false;
  /** True while a loop creates: it goes on when a creation ends at once. */
  #serving = false;

  /** @param onFree Called when the slot has become free. */
  constructor(context: PoolContext<T>, onFree: () => void) {
    this.#context = context;
    this.#onFree = onFree;
  }

  /** 1 while a resource is being created, leased or closed; 0 otherwise. */
  get size(): number {
    return this.#held ? 1 : 0;
  }

  /**
   * Leases the probe slot, when it is free and a resource has been created.
   *
   * @param timeoutMs Default: the pool's `acquireTimeoutMs`.
   */
  lease(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<Lease<T>> {
    const { config, clock } = this.#context;
    if (this.#closed) return Promise.reject(new PoolClosedError());
    if (this.#waiters.length > config.maxWaiters) {
      return Promise.reject(new QueueFullError(`Wait queue of probes is full (maxWaiters: ${config.maxWaiters})`));
    }
    const waitMs = timeoutMs ?? config.acquireTimeoutMs;
    const { promise, resolve, reject } = Promise.withResolvers<Lease<T>>();
    let timer: Timer | undefined;
    const expire = () => this.#reject(waiter, probeTimeout(waitMs));
    const onAbort = () => this.#reject(waiter, new AcquireAbortedError(signal?.reason));
    const stop = () => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    // One that may not wait is served at once or rejected below.
    const deadline = waitMs === 0 ? Infinity : clock.now() + waitMs;
    const waiter: ProbeWaiter<T> = { resolve, reject, deadline, expire, stop };
    signal?.addEventListener("abort", onAbort);
    this.#waiters.push(waiter);
    this.#serve();
    if (waitMs === 0) expire();
    else if (waitMs < Infinity && this.#waiters.includes(waiter)) timer = clock.setTimer(expire, waitMs);
    return promise;
  }

  release(_lease: LeaseRecord<T>, slot: Slot<T>): void {
    this.#leased = undefined;
    slot.unassign();
    this.#destroy(slot.resource);
  }

  /** Rejects what waits and creates nothing more. */
  close(): void {
    this.#closed = true;
    for (const waiter of [...this.#waiters]) this.#reject(waiter, new PoolClosedError());
    this.#creation?.abort(new PoolClosedError());
  }

  /** After {@linkcode close}: revokes the lease. */
  revoke(): void {
    const slot = this.#leased;
    if (!slot?.lease) return;
    this.#leased = undefined;
    this.#report(leaseAccess.revoke(slot.lease, new LeaseRevokedError()), "listener");
    slot.unassign();
    this.#destroy(slot.resource);
  }

  created(creation: Creation<T>, resource: T): void {
    this.#creation = undefined;
    if (creation.invalid) {
      this.#reportFailure(new ResourceInvalidError(creation.invalid.reason));
      return this.#destroy(resource);
    }
    const now = this.#context.clock.now();
    this.#expireOverdue(now);
    const waiter = this.#leave(this.#waiters[0]);
    if (!waiter) return this.#destroy(resource);
    const slot = this.#leased = new Slot<T>(resource, 0, this, now, Infinity);
    const lease = new LeaseRecord(slot, "probe", now, 0, undefined);
    slot.assign(lease);
    creation.onInvalid = (reason) => this.#invalidate(slot, reason);
    waiter.resolve(lease);
  }

  failed(_creation: Creation<T>, error: unknown): void {
    this.#reportFailure(error);
    this.#free();
  }

  overdue(_creation: Creation<T>, error: unknown): void {
    this.#reportFailure(error);
  }

  overdueEnded(_creation: Creation<T>, late: T | undefined): void {
    if (late) this.#destroy(late);
    else this.#free();
  }

  arrivedAfterAbandon(_creation: Creation<T>, resource: T): void {
    this.#context.hooks.destroy(resource, () => {});
  }

  /** Creates a resource for the next waiter, if the slot is free. */
  #serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    const { clock, factory, hooks } = this.#context;
    while (!this.#held) {
      const now = clock.now();
      this.#expireOverdue(now);
      if (this.#waiters.length === 0) break;
      this.#held = true;
      this.#creation = new Creation<T>(now);
      this.#creation.run(factory, hooks, this);
    }
    this.#serving = false;
    if (!this.#held) this.#onFree();
  }

  #reportFailure(error: unknown): void {
    this.#creation = undefined;
    if (this.#closed) return;
    this.#report({ error }, "create");
    const waiter = this.#waiters[0];
    if (waiter) this.#reject(waiter, new CreateFailedError(error));
  }

  #invalidate(slot: Slot<T>, reason: unknown): void {
    if (this.#leased !== slot || !slot.lease) return;
    const error = new ResourceInvalidError(reason);
    this.#report({ error }, "invalidate");
    this.#report(leaseAccess.notifyLost(slot.lease, error), "listener");
  }

  /** Destroys the resource; then the slot is free. */
  #destroy(resource: T): void {
    this.#context.hooks.destroy(resource, () => this.#free());
  }

  #free(): void {
    this.#held = false;
    this.#serve();
  }

  #report(thrown: { readonly error: unknown } | undefined, source: ErrorSource): void {
    if (thrown) this.#context.events.emit("error", { error: thrown.error, source });
  }

  /** Expires the waiters whose deadline has passed: after a freeze their timers are late. */
  #expireOverdue(now: number): void {
    for (const waiter of [...this.#waiters]) if (waiter.deadline <= now) waiter.expire();
  }

  #reject(waiter: ProbeWaiter<T>, error: unknown): void {
    this.#leave(waiter)?.reject(error);
  }

  /** Takes a waiter out of the queue. */
  #leave(waiter: ProbeWaiter<T> | undefined): ProbeWaiter<T> | undefined {
    const index = waiter ? this.#waiters.indexOf(waiter) : -1;
    if (!waiter || index < 0) return undefined;
    this.#waiters.splice(index, 1);
    waiter.stop();
    return waiter;
  }
}
