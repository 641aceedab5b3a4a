/**
 * Those who wait for a resource: in which order, until when, and what they are
 * told when it ends without one.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import { DeadlineQueue } from "./deadline_queue.ts";
import { AcquireAbortedError, AcquireTimeoutError, withoutStack } from "./errors.ts";
import { type Lane, LaneQueues } from "./lane.ts";
import type { Ledger } from "./limits.ts";
import { Waiter } from "./waiter.ts";

/** What a waiting room knows of its pool. */
export interface WaitingRoomOwner {
  /** How the pool stands, in one line, for the errors of those who wait in vain. */
  describe(now: number): string;
  /** The last failed creation. */
  lastFailure(): CreationFailure | undefined;
  /** An acquire reached its deadline. */
  timedOut(waitedMs: number, lane: Lane): void;
}

/** The queue of waiters, with one timer for all their deadlines. */
export class WaitingRoom<T extends object> {
  readonly #owner: WaitingRoomOwner;
  readonly #queues: LaneQueues<T>;
  readonly #ledger: Ledger;
  readonly #deadlines: DeadlineQueue<Waiter<T>>;
  #timeouts = 0;

  constructor(clock: Clock, agingMs: number, ledger: Ledger, owner: WaitingRoomOwner) {
    this.#queues = new LaneQueues(agingMs);
    this.#ledger = ledger;
    this.#owner = owner;
    this.#deadlines = new DeadlineQueue(clock, (waiter, now) => this.expire(waiter, now));
  }

  /** How many wait. */
  get size(): number {
    return this.#queues.size;
  }

  /** How many of those who wait could be lent something now, if there were resources enough. */
  get demand(): number {
    if (this.#queues.size === 0) return 0;
    const admin = this.#queues.adminSize;
    return this.#ledger.demand(admin, this.#queues.size - admin);
  }

  /** How many waited in vain, since the pool was made. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /** Lines a waiter up, behind all others of its lane. */
  enter(waiter: Waiter<T>): void {
    this.#queues.push(waiter);
  }

  /** Sees to it that a waiter's wait ends at its deadline, or when its caller's signal aborts. */
  keep(waiter: Waiter<T>, now: number): void {
    // A hook may have aborted it while it lined up: then its signal tells nothing any more.
    if (waiter.signal?.aborted) return this.dismiss(waiter, new AcquireAbortedError(waiter.signal.reason));
    this.#deadlines.add(waiter, now);
    if (waiter.signal) waiter.watch((reason) => this.dismiss(waiter, new AcquireAbortedError(reason)));
  }

  /**
   * Takes the one who is to be served next out of the line; `undefined` when
   * nobody who waits may be lent anything. Those past their deadline are told so
   * and passed over: after a freeze the timer is late.
   */
  next(now: number): Waiter<T> | undefined {
    for (let waiter = this.#first(); waiter; waiter = this.#first()) {
      if (waiter.deadline > now) {
        this.#leave(waiter);
        return waiter;
      }
      this.expire(waiter, now);
    }
    return undefined;
  }

  /** Ends the wait of the one who would be served next; of nobody where nobody could be. */
  dismissNext(error: unknown): void {
    const waiter = this.#first();
    if (waiter) this.dismiss(waiter, error);
  }

  /** Ends the wait of all. */
  dismissAll(makeError: () => unknown): void {
    for (let waiter = this.#queues.first(); waiter; waiter = this.#queues.first()) this.dismiss(waiter, makeError());
  }

  /** Ends a wait with an error. */
  dismiss(waiter: Waiter<T>, error: unknown): void {
    if (!waiter.waiting) return;
    this.#leave(waiter);
    waiter.reject(error);
  }

  /** Ends a wait that was too long. */
  expire(waiter: Waiter<T>, now: number): void {
    const waitedMs = now - waiter.since;
    const failure = this.#owner.lastFailure();
    const cause = failure && failure.at >= waiter.since ? { cause: failure.error } : undefined;
    const stand = this.#owner.describe(now);
    const message = `Connection acquire timeout: none came free in ${Math.round(waitedMs)} ms (${stand})`;
    this.#timeouts++;
    this.dismiss(waiter, withoutStack(() => new AcquireTimeoutError(message, cause)));
    this.#owner.timedOut(waitedMs, waiter.lane);
  }

  /** Drops the timer. */
  stop(): void {
    this.#deadlines.stop();
  }

  /** The next of those who may be lent something now. */
  #first(): Waiter<T> | undefined {
    const ledger = this.#ledger;
    if (ledger.limits.reservedConnections === 0) return ledger.room(false) > 0 ? this.#queues.first() : undefined;
    return (ledger.room(true) > 0 ? this.#queues.firstAdmin() : undefined) ??
      (ledger.room(false) > 0 ? this.#queues.firstOther() : undefined);
  }

  #leave(waiter: Waiter<T>): void {
    waiter.end();
    this.#queues.remove(waiter);
    this.#deadlines.remove(waiter);
  }
}
