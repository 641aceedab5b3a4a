/**
 * One place in the pool for all that one caller does.
 *
 * @module
 */
import {
  AcquireAbortedError,
  type AcquireOptions,
  AcquireTimeoutError,
  LateReleaseError,
  type Lease,
  LeaseRevokedError,
  type ResourcePool,
} from "../../pool/mod.ts";
import type { PooledClient } from "../pooled_client.ts";
import { Turns } from "./turns.ts";

/** Where the places are. */
export type Places = Pick<ResourcePool<PooledClient>, "config" | "lease" | "tryLease">;

/** Somebody who works in the place. */
export interface PlaceUser {
  /** The place is gone, or the caller: what is under way is to end with `reason`. */
  lost(reason: unknown): void;
}

/** A wait for the place, of all who asked for it on the same terms. */
interface Wait {
  /** Who began it: it lasts as long as their time. */
  readonly by: PlaceUser;
  readonly controller: AbortController;
  /** The place is there, whichever wait brought it, or this wait has failed. */
  readonly arrived: PromiseWithResolvers<void>;
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
  /** Who may come in. */
  readonly #guests: PlaceUser[] = [];
  /** Who has, or waits to. */
  readonly #users: PlaceUser[] = [];
  #lease: Lease<PooledClient> | undefined = undefined;
  /** By their terms. Made when somebody has to wait: most places are free. */
  #waits: Map<string, Wait> | undefined = undefined;
  #waitingSinceMs = 0;
  #lost: { readonly reason: unknown } | undefined = undefined;
  #cut: { readonly reason: unknown } | undefined = undefined;
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

  /** Notes that `user` may come in: until it leaves, it is told when the place is cut, at once where it has been. */
  join(user: PlaceUser): void {
    if (this.#cut) user.lost(this.#cut.reason);
    else this.#guests.push(user);
  }

  /**
   * Lets `user` in; to be followed by {@linkcode leave}. `undefined` where the
   * place is held already, or free. Whoever has to wait does so in the lane and
   * for the time of its own options; the first place that comes serves all.
   *
   * @throws what acquiring from the pool throws.
   */
  enter(user: PlaceUser, options: AcquireOptions): Promise<void> | undefined {
    if (this.#cut) return Promise.reject(new AcquireAbortedError(this.#cut.reason));
    if (this.#lost) return Promise.reject(this.#lost.reason);
    if (!this.#lease && !this.#waits?.size) this.#takeFree(options);
    this.#users.push(user);
    if (this.#lease) return undefined;
    return this.#waitFor(user, options);
  }

  /**
   * `user` is done; of a broken client others make no use. Whoever was sent away leaves quietly.
   *
   * @throws {LateReleaseError} when the pool had taken the place back.
   */
  leave(user: PlaceUser, destroy = false): void {
    remove(this.#guests, user);
    if (!remove(this.#users, user)) return;
    this.#destroy ||= destroy;
    const late = this.#lease !== undefined && !this.#lease.active;
    if (this.#users.length === 0) this.#giveBack();
    if (late) throw new LateReleaseError();
  }

  /** Sends everybody away, for good, and gives the place back at once. */
  cut(reason: unknown): void {
    this.#cut ??= { reason };
    const all = new Set([...this.#guests.splice(0), ...this.#users.splice(0)]);
    for (const user of all) user.lost(reason);
    this.#giveBack(reason);
  }

  #giveBack(reason?: unknown): void {
    for (const wait of this.#waits?.values() ?? []) wait.controller.abort(reason);
    this.#stopWaiting();
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
    lease.onLost((reason) => this.#lose(reason));
  }

  async #waitFor(user: PlaceUser, options: AcquireOptions): Promise<void> {
    const untilMs = performance.now() + (options.timeoutMs ?? this.#places.config.acquireTimeoutMs);
    try {
      let leftMs = options.timeoutMs;
      while (!this.#lease) {
        const { by, arrived, controller } = this.#join(user, options, leftMs);
        try {
          await arrived.promise;
        } catch (error) {
          leftMs = Math.ceil(untilMs - performance.now());
          // Who came later on the same terms has time left when the first one's is over.
          const over = by === user || leftMs <= 0 || !this.#users.includes(user);
          if (over || !(error instanceof AcquireTimeoutError)) throw error;
        }
        // Sent away when the place had been granted already.
        if (!this.#users.includes(user)) throw new AcquireAbortedError(controller.signal.reason);
      }
    } catch (error) {
      remove(this.#users, user);
      throw error;
    }
  }

  /** The wait of those who ask on these terms, the signal aside, begun if there is none. */
  #join(by: PlaceUser, { lane = "normal", timeoutMs }: AcquireOptions, leftMs: number | undefined): Wait {
    const terms = `${lane} ${timeoutMs}`;
    const there = this.#waits?.get(terms);
    if (there) return there;
    const wait: Wait = { by, controller: new AbortController(), arrived: Promise.withResolvers() };
    if (!this.#waits?.size) this.#waitingSinceMs = performance.now();
    (this.#waits ??= new Map()).set(terms, wait);
    wait.arrived.promise.catch(() => {}); // told to those who still wait
    this.#arrive(wait, terms, { lane, timeoutMs: leftMs });
    return wait;
  }

  async #arrive(wait: Wait, terms: string, options: AcquireOptions): Promise<void> {
    const { controller } = wait;
    const abort = () => controller.abort(this.#signal?.reason);
    if (this.#signal?.aborted) abort();
    this.#signal?.addEventListener("abort", abort, { once: true });
    const current = () => this.#waits?.get(terms) === wait;
    try {
      const lease = await this.#places.lease({ ...options, signal: controller.signal });
      if (!current()) {
        lease[Symbol.dispose]();
        throw new AcquireAbortedError(controller.signal.reason); // nobody waits for it any more
      }
      // A shutdown may have taken it back since it was granted.
      if (!lease.active) throw new LeaseRevokedError();
      this.#hold(lease);
      const others = [...this.#waits?.values() ?? []];
      this.#stopWaiting();
      for (const each of others) {
        each.arrived.resolve();
        if (each !== wait) each.controller.abort();
      }
    } catch (error) {
      wait.arrived.reject(error);
      if (current()) this.#waits?.delete(terms);
      if (this.#waits?.size === 0) this.#stopWaiting();
    } finally {
      this.#signal?.removeEventListener("abort", abort);
    }
  }

  #stopWaiting(): void {
    if (this.#waits === undefined) return;
    this.#waits = undefined;
    this.#waitedMs += performance.now() - this.#waitingSinceMs;
  }

  #lose(reason: unknown): void {
    this.#lost = { reason };
    for (const user of [...this.#users]) user.lost(reason);
  }
}

/** Takes `user` out of a list of a few, and says whether it was in it. */
function remove(users: PlaceUser[], user: PlaceUser): boolean {
  const at = users.lastIndexOf(user);
  if (at >= 0) users.splice(at, 1);
  return at >= 0;
}
