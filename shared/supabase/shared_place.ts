/**
 * One place in the pool for all that one caller does.
 *
 * @module
 */
import {
  AcquireAbortedError,
  type AcquireOptions,
  LateReleaseError,
  type Lease,
  LeaseRevokedError,
  type ResourcePool,
} from "../pool/mod.ts";
import type { PooledClient } from "./pooled_client.ts";
import { Turns } from "./turns.ts";

/** Where the places are. */
export type Places = Pick<ResourcePool<PooledClient>, "lease" | "tryLease">;

/** Somebody who works in the place. */
export interface PlaceUser {
  /** The place is gone, or the caller: what is under way is to end with `reason`. */
  lost(reason: unknown): void;
}

/** A wait for the place. */
interface Wait {
  readonly controller: AbortController;
  readonly startMs: number;
  arrived: Promise<void>;
}

/**
 * A place that is taken when somebody needs it, shared by whoever comes while
 * it is held, and given back when the last of them leaves: who holds it need
 * never wait for another one, so that nested use cannot wait for itself.
 */
export class SharedPlace {
  /** How many calls run in it at once. */
  readonly turns: Turns;
  readonly #places: Places;
  readonly #signal: AbortSignal | undefined;
  readonly #users = new Set<PlaceUser>();
  #lease: Lease<PooledClient> | undefined = undefined;
  #wait: Wait | undefined = undefined;
  #lost: { readonly reason: unknown } | undefined = undefined;
  #destroy = false;
  #waitedMs = 0;

  /** @param signal Ends the wait for it when it aborts. */
  constructor(places: Places, callsAtOnce: number, signal?: AbortSignal | undefined) {
    this.#places = places;
    this.#signal = signal;
    this.turns = new Turns(callsAtOnce);
  }

  /** How long it was waited for so far, in ms. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /**
   * Lets `user` in; to be followed by {@linkcode leave}. `undefined` where the
   * place is held already, or free. The options count for who comes first and has to wait.
   *
   * @throws what acquiring from the pool throws.
   */
  enter(user: PlaceUser, options: AcquireOptions): Promise<void> | undefined {
    if (this.#lost) return Promise.reject(this.#lost.reason);
    if (!this.#lease && !this.#wait) this.#takeFree(options);
    this.#users.add(user);
    if (this.#lease) return undefined;
    return this.#enterWith(user, this.#wait ??= this.#begin(options));
  }

  /**
   * `user` is done; of a broken client others make no use. Whoever was sent away leaves quietly.
   *
   * @throws {LateReleaseError} when the pool had taken the place back.
   */
  leave(user: PlaceUser, destroy = false): void {
    if (!this.#users.delete(user)) return;
    this.#destroy ||= destroy;
    const late = this.#lease !== undefined && !this.#lease.active;
    if (this.#users.size === 0) this.#giveBack();
    if (late) throw new LateReleaseError();
  }

  /** Sends everybody away and gives the place back, at once. */
  cut(reason: unknown): void {
    const users = [...this.#users];
    this.#users.clear();
    for (const user of users) user.lost(reason);
    this.#giveBack();
  }

  #giveBack(): void {
    this.#wait?.controller.abort();
    this.#wait = undefined;
    const lease = this.#lease;
    const destroy = this.#destroy;
    this.#lease = undefined;
    this.#lost = undefined;
    this.#destroy = false;
    if (lease?.active) lease.release({ destroy });
  }

  /** Takes a place without the trouble of a wait, if one is free. */
  #takeFree({ lane, timeoutMs }: AcquireOptions): void {
    // Whoever may not wait, or not so long, is told so whether there is a place or not.
    if (timeoutMs !== undefined || this.#signal?.aborted) return;
    const lease = this.#places.tryLease(lane);
    if (lease) this.#hold(lease);
  }

  #hold(lease: Lease<PooledClient>): void {
    this.#lease = lease;
    lease.onLost = (reason) => this.#lose(reason);
  }

  #begin(options: AcquireOptions): Wait {
    const controller = new AbortController();
    const abort = () => controller.abort(this.#signal?.reason);
    if (this.#signal?.aborted) abort();
    this.#signal?.addEventListener("abort", abort, { once: true });
    const wait: Wait = { controller, startMs: performance.now(), arrived: Promise.resolve() };
    wait.arrived = this.#arrive(wait, this.#places.lease({ ...options, signal: controller.signal }))
      .finally(() => this.#signal?.removeEventListener("abort", abort));
    wait.arrived.catch(() => {}); // told to those who still wait
    return wait;
  }

  async #arrive(wait: Wait, acquired: Promise<Lease<PooledClient>>): Promise<void> {
    try {
      const lease = await acquired;
      if (this.#wait !== wait) return lease[Symbol.dispose](); // nobody waits for it any more
      // A shutdown may have taken it back since it was granted.
      if (!lease.active) throw new LeaseRevokedError();
      this.#hold(lease);
    } finally {
      this.#waitedMs += performance.now() - wait.startMs;
      if (this.#wait === wait) this.#wait = undefined;
    }
  }

  async #enterWith(user: PlaceUser, wait: Wait): Promise<void> {
    try {
      await wait.arrived;
      // Sent away when the place had been granted already.
      if (!this.#users.has(user)) throw new AcquireAbortedError(wait.controller.signal.reason);
    } catch (error) {
      this.#users.delete(user);
      throw error;
    }
  }

  #lose(reason: unknown): void {
    this.#lost = { reason };
    for (const user of [...this.#users]) user.lost(reason);
  }
}
