/**
 * Those who wait for a resource: in which order, until when, and what they are
 * told when it ends without one.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import type { PoolConfig } from "./config.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import { Aborts } from "./aborts.ts";
import { AcquireAbortedError, acquireTimeout, withoutStack } from "./errors.ts";
import { type Lane, Lines } from "./lane.ts";
import type { Ledger } from "./limits.ts";
import { type RareWaiterParts, Waiter } from "./waiter.ts";
import { WaiterDeadlines } from "./waiter_deadlines.ts";

/** What a waiting room knows of its pool. */
export interface WaitingRoomOwner {
  /** How the pool stands, in one line, for the errors of those who wait in vain. */
  describe(now: number): string;
  /** The last failed creation. */
  lastFailure(): CreationFailure | undefined;
  /** An acquire reached its deadline. */
  timedOut(waitedMs: number, lane: Lane): void;
}

/** `waiter` and those behind it, as far as their deadlines have come. */
function overdueFrom<T extends object>(waiter: Waiter<T> | undefined, now: number): Waiter<T>[] {
  const overdue: Waiter<T>[] = [];
  for (let one = waiter; one && one.deadline <= now; one = one.next) overdue.push(one);
  return overdue;
}

/** All who wait. */
export class WaitingRoom<T extends object> {
  readonly #owner: WaitingRoomOwner;
  readonly #lines: Lines<T>;
  readonly #ledger: Ledger;
  readonly #deadlines: WaiterDeadlines<T>;
  readonly #aborts: Aborts<Waiter<T>>;
  readonly #timeoutMs: number;
  #timeouts = 0;

  constructor(clock: Clock, config: Readonly<PoolConfig>, ledger: Ledger, owner: WaitingRoomOwner) {
    this.#timeoutMs = config.acquireTimeoutMs;
    this.#lines = new Lines(config.agingMs);
    this.#ledger = ledger;
    this.#owner = owner;
    this.#deadlines = new WaiterDeadlines(clock, (waiters, now) => this.#expire(waiters, now));
    this.#aborts = new Aborts((waiters, reason) =>
      withoutStack(() => waiters.forEach((waiter) => this.dismiss(waiter, new AcquireAbortedError(reason))))
    );
  }

  /** How many wait. */
  get size(): number {
    return this.#lines.size;
  }

  /** How many of those who wait could be lent something now, if there were resources enough. */
  get demand(): number {
    if (this.#lines.size === 0) return 0;
    const admin = this.#lines.adminSize;
    return this.#ledger.demand(admin, this.#lines.size - admin);
  }

  /** How many waited in vain, since the pool was made. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /**
   * Makes a waiter, who has yet to {@linkcode enter}.
   *
   * @param timeoutMs How long it may wait; `undefined` for as long as is usual.
   */
  waiter(
    lane: Lane,
    now: number,
    timeoutMs: number | undefined,
    rare: RareWaiterParts<T> | undefined,
  ): Waiter<T> {
    const usual = timeoutMs === undefined || timeoutMs === this.#timeoutMs;
    // One that may not wait is served from what is free or made at once, or refused.
    const deadline = usual ? now + this.#timeoutMs : timeoutMs === 0 ? Infinity : now + timeoutMs;
    return new Waiter(this.#lines.of(lane), now, deadline, usual, rare);
  }

  /** Lines a waiter up, behind all others of its lane. Its wait has no end until it is {@linkcode keep}t. */
  enter(waiter: Waiter<T>): void {
    this.#lines.push(waiter);
  }

  /** Sees to it that a waiter's wait ends at its deadline, or when its caller's signal aborts. */
  keep(waiter: Waiter<T>, now: number): void {
    const signal = waiter.rare?.signal;
    // A hook may have aborted it while it lined up: then its signal tells nothing any more.
    if (signal?.aborted) return this.dismiss(waiter, new AcquireAbortedError(signal.reason));
    this.#deadlines.add(waiter, now);
    if (signal) this.#aborts.add(waiter, signal);
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
      this.#expire(overdueFrom(waiter, now), now);
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
    for (let waiter = this.#lines.first(); waiter; waiter = this.#lines.first()) this.dismiss(waiter, makeError());
  }

  /** Ends a wait with an error. */
  dismiss(waiter: Waiter<T>, error: unknown): void {
    if (!waiter.waiting) return;
    this.#leave(waiter);
    waiter.reject(error);
  }

  /** Ends a wait that was too long. */
  expire(waiter: Waiter<T>, now: number): void {
    this.#expire([waiter], now);
  }

  /** Ends the waits at the head of each line that were too long: after a freeze the timer is late. */
  expireOverdue(now: number): void {
    for (const line of this.#lines.all()) {
      const overdue = overdueFrom(line.head, now);
      if (overdue.length > 0) this.#expire(overdue, now);
    }
  }

  /** Drops the timer. */
  stop(): void {
    this.#deadlines.stop();
  }

  /** Ends waits that were too long. All are told how the pool stood when it began. */
  #expire(waiters: readonly Waiter<T>[], now: number): void {
    const failure = this.#owner.lastFailure();
    const stand = this.#owner.describe(now);
    withoutStack(() => {
      for (const waiter of waiters) {
        const waitedMs = now - waiter.since;
        const message = `Connection acquire timeout: none came free in ${Math.round(waitedMs)} ms (${stand})`;
        const cause = failure && failure.at >= waiter.since ? { cause: failure.error } : undefined;
        this.#timeouts++;
        this.dismiss(waiter, acquireTimeout(message, cause));
        this.#owner.timedOut(waitedMs, waiter.line.lane);
      }
    });
  }

  /** The next of those who may be lent something now. */
  #first(): Waiter<T> | undefined {
    const ledger = this.#ledger;
    if (!ledger.separate) return ledger.room(false) > 0 ? this.#lines.first() : undefined;
    return (ledger.room(true) > 0 ? this.#lines.firstAdmin() : undefined) ??
      (ledger.room(false) > 0 ? this.#lines.firstOther() : undefined);
  }

  #leave(waiter: Waiter<T>): void {
    waiter.waiting = false;
    this.#lines.remove(waiter);
    if (!waiter.rare) return;
    this.#deadlines.remove(waiter);
    if (waiter.rare.signal) this.#aborts.remove(waiter, waiter.rare.signal);
  }
}
