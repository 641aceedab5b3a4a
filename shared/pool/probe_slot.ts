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
import type { Clock, Timer } from "../resilience/mod.ts";
import type { AcquireOptions } from "./acquire_options.ts";
import type { PoolConfig } from "./config.ts";
import { Creation } from "./creation.ts";
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  CreateFailedError,
  HookTimeoutError,
  LeaseRevokedError,
  PoolClosedError,
  QueueFullError,
  ResourceInvalidError,
} from "./errors.ts";
import type { ErrorSource, EventHub, PoolEvents } from "./events.ts";
import type { HookRunner } from "./hook_run.ts";
import { type Lease, leaseAccess, type LeaseOwner, LeaseRecord } from "./lease.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { LEASED, Slot } from "./slot.ts";

/** A probe that waits for the slot or for its resource. */
interface ProbeWaiter<T extends object> {
  readonly resolve: (lease: Lease<T>) => void;
  readonly reject: (error: unknown) => void;
  /** Drops its timer and its listener. */
  readonly stop: () => void;
}

function probeTimeout(timeoutMs: number): AcquireTimeoutError {
  return new AcquireTimeoutError(
    `Connection acquire timeout: the probe slot was not available within ${timeoutMs} ms; one probe runs at a time`,
  );
}

/** Leases the probe slot, to one holder at a time, first come, first served. */
export class ProbeSlot<T extends object> implements LeaseOwner<T> {
  readonly #factory: ResourceFactory<T>;
  readonly #config: Readonly<PoolConfig>;
  readonly #clock: Clock;
  readonly #events: EventHub<PoolEvents>;
  readonly #hooks: HookRunner;
  readonly #onFree: () => void;
  readonly #waiters: ProbeWaiter<T>[] = [];
  /** The creation under way. */
  #creation: Creation<T> | undefined = undefined;
  /** The slot, while it is leased. */
  #leased: Slot<T> | undefined = undefined;
  /** True from the start of a creation until its resource has closed. */
  #taken = false;
  #closed = false;
  /** Creations are under way in a loop, which goes on where one of them ends at once. */
  #serving = false;

  /** @param onFree Called when the slot has become free. */
  constructor(
    factory: ResourceFactory<T>,
    config: Readonly<PoolConfig>,
    clock: Clock,
    events: EventHub<PoolEvents>,
    hooks: HookRunner,
    onFree: () => void,
  ) {
    this.#factory = factory;
    this.#config = config;
    this.#clock = clock;
    this.#events = events;
    this.#hooks = hooks;
    this.#onFree = onFree;
  }

  /** Returns 1 while a resource is being created, leased or closed. */
  get size(): number {
    return this.#taken ? 1 : 0;
  }

  /** Leases the probe slot, when it is free and a resource has been created. */
  lease({ timeoutMs = this.#config.acquireTimeoutMs, signal }: AcquireOptions): Promise<Lease<T>> {
    if (this.#closed) return Promise.reject(new PoolClosedError());
    if (this.#waiters.length > this.#config.maxWaiters) {
      return Promise.reject(new QueueFullError(`Too many probes wait (maxWaiters: ${this.#config.maxWaiters})`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease<T>>();
    let timer: Timer | undefined;
    const onAbort = () => this.#reject(waiter, new AcquireAbortedError(signal?.reason));
    const stop = () => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: ProbeWaiter<T> = { resolve, reject, stop };
    signal?.addEventListener("abort", onAbort);
    this.#waiters.push(waiter);
    this.#serve();
    const timedOut = () => this.#reject(waiter, probeTimeout(timeoutMs));
    if (timeoutMs === 0) timedOut();
    else if (timeoutMs < Infinity && this.#waiters.includes(waiter)) timer = this.#clock.setTimer(timedOut, timeoutMs);
    return promise;
  }

  giveBack(_lease: LeaseRecord<T>, slot: Slot<T>): void {
    this.#leased = undefined;
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
    this.#destroy(slot.resource);
  }

  /** Creates a resource for the next waiter, if the slot is free. */
  #serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    while (!this.#taken && this.#waiters.length > 0) this.#create();
    this.#serving = false;
    if (!this.#taken) this.#onFree();
  }

  #create(): void {
    this.#taken = true;
    const creation = this.#creation = new Creation<T>(this.#clock.now());
    creation.begin(this.#factory, this.#hooks, this.#config, {
      made: (resource) => this.#created(creation, resource),
      failed: (error) => {
        this.#failed(error);
        this.#free();
      },
      overdue: (error) => this.#failed(error),
      over: (late) => late ? this.#destroy(late) : this.#free(),
      late: (resource) => this.#runDestroy(resource, () => {}),
    });
  }

  #created(creation: Creation<T>, resource: T): void {
    this.#creation = undefined;
    if (creation.invalid) {
      this.#failed(new ResourceInvalidError(creation.invalid.reason));
      return this.#destroy(resource);
    }
    const waiter = this.#leave(this.#waiters[0]);
    if (!waiter) return this.#destroy(resource);
    const now = this.#clock.now();
    const slot = this.#leased = new Slot(resource, 0, this, now, Infinity);
    const lease = slot.lease = new LeaseRecord(slot, "probe", now, 0, undefined);
    slot.state = LEASED;
    creation.onInvalid = (reason) => this.#invalidate(slot, reason);
    waiter.resolve(lease);
  }

  #failed(error: unknown): void {
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
    this.#runDestroy(resource, () => this.#free());
  }

  #runDestroy(resource: T, done: () => void): void {
    const { destroyTimeoutMs } = this.#config;
    const timeoutError = () => new HookTimeoutError("destroy", destroyTimeoutMs);
    this.#hooks.run(destroyTimeoutMs, timeoutError, () => this.#factory.destroy(resource), (outcome) => {
      if (!outcome.ok) this.#report(outcome, "destroy");
      done();
    });
  }

  #free(): void {
    this.#taken = false;
    this.#serve();
  }

  #report(thrown: { readonly error: unknown } | undefined, source: ErrorSource): void {
    if (thrown) this.#events.emit("error", { error: thrown.error, source });
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
