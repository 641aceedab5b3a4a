/**
 * The queue of acquires that wait for a resource: their order, their
 * deadlines, and the errors of those that are not served.
 *
 * @module
 */
import { AbortRegistry } from "./abort_registry.ts";
import type { Capacity } from "./capacity.ts";
import { AcquireAbortedError, acquireTimeout, withoutStack } from "./errors.ts";
import { FairQueue, type Flow, type FlowRecord, isLonger } from "./fair_queue.ts";
import { type Lane, LaneQueue, LANES } from "./lane.ts";
import type { PoolContext, PoolHost } from "./pool_host.ts";
import { Waiter, type WaiterExtras } from "./waiter.ts";
import { WaiterDeadlines } from "./waiter_deadlines.ts";

/**
 * The waiters of all lanes.
 *
 * Within a lane it is first come, first served; with `fairShare` it is so within
 * a flow, and the flows of a lane share it ({@linkcode FairQueue}). The lane that
 * is served next does not depend on that. Between lanes, each step down
 * costs `agingMs` of waiting: the next to be served is the one whose arrival
 * plus its lane's offset is earliest. So a `low` waiter comes before every
 * `high` one that arrives more than two `agingMs` after it, and before every
 * `admin` one that arrives more than three after it, whatever arrives later.
 * Where `admin` has reserved connections, it is served apart.
 */
export class WaitQueue<T extends object> {
  readonly #host: PoolHost<T>;
  readonly #context: PoolContext<T>;
  readonly #capacity: Capacity;
  readonly #timeoutMs: number;
  readonly #lanes: Readonly<Record<Lane, LaneQueue<T>>>;
  readonly #deadlines: WaiterDeadlines<T>;
  readonly #aborts: AbortRegistry<Waiter<T>>;

  /** The number of waiters. */
  size = 0;
  /** The number of acquires that timed out since the pool was created. */
  timeouts = 0;

  constructor(context: PoolContext<T>, host: PoolHost<T>) {
    const { agingMs, acquireTimeoutMs, fairShare } = context.config;
    this.#host = host;
    this.#context = context;
    this.#capacity = context.capacity;
    this.#timeoutMs = acquireTimeoutMs;
    this.#lanes = {
      admin: new LaneQueue("admin", agingMs),
      high: new LaneQueue("high", agingMs),
      normal: new LaneQueue("normal", agingMs),
      low: new LaneQueue("low", agingMs),
    };
    if (fairShare) { for (const queue of Object.values(this.#lanes)) queue.flows = new FairQueue(); }
    this.#deadlines = new WaiterDeadlines(context.clock, (waiters, now) => this.#expire(waiters, now));
    this.#aborts = new AbortRegistry((waiters, reason) =>
      withoutStack(() => waiters.forEach((waiter) => this.reject(waiter, new AcquireAbortedError(reason))))
    );
  }

  /** The number of waiters that could get a lease now, given enough resources. */
  get demand(): number {
    if (this.size === 0) return 0;
    const admin = this.#lanes.admin.size;
    return this.#capacity.demand(admin, this.size - admin);
  }

  /** The number of flows that wait; 0 where flows do not share the lanes. */
  get waitingFlows(): number {
    return Object.values(this.#lanes).reduce((sum, { flows }) => sum + (flows?.waitingFlows ?? 0), 0);
  }

  /**
   * Adds a waiter at the end of its lane and of its flow. Its wait has no end until
   * {@linkcode armDeadline} is called.
   *
   * @param timeoutMs Default: the pool's `acquireTimeoutMs`.
   */
  add(
    lane: Lane,
    now: number,
    timeoutMs: number | undefined,
    extras: WaiterExtras<T> | undefined,
    flow: Flow | undefined,
  ): Waiter<T> {
    const usesDefault = timeoutMs === undefined || timeoutMs === this.#timeoutMs;
    // One that may not wait is served from what is idle or created at once, or rejected.
    const deadline = usesDefault ? now + this.#timeoutMs : timeoutMs === 0 ? Infinity : now + timeoutMs;
    const queue = this.#lanes[lane];
    const waiter = new Waiter<T>(queue, now, deadline, usesDefault);
    waiter.extras = extras;
    this.size++;
    queue.push(waiter);
    if (queue.flows) (waiter.extras ??= {}).ticket = queue.flows.add(waiter, flow);
    return waiter;
  }

  /** Counts in a lease that is granted without a wait, and returns its flow. */
  hold(lane: Lane, flow: Flow | undefined): FlowRecord<T> | undefined {
    return this.#lanes[lane].flows?.hold(flow);
  }

  /**
   * Returns the waiter to reject because the queue is full: `newcomer`, the latest one. With `fairShare` it is the latest
   * of the flow that has the most waiters per weight, in the newcomer's lane or a lower one: a flow that floods the
   * queue keeps no other out.
   */
  surplus(newcomer: Waiter<T>): Waiter<T> {
    let longest = newcomer.extras?.ticket?.flow;
    if (!longest) return newcomer;
    for (const lane of LANES.slice(LANES.indexOf(newcomer.queue.lane))) {
      const other = this.#lanes[lane].flows?.longest;
      if (other && isLonger(other, longest)) longest = other;
    }
    return longest.tickets.tail?.waiter ?? newcomer;
  }

  /** Ends the wait of a waiter at its deadline, and when its signal aborts. */
  armDeadline(waiter: Waiter<T>, now: number): void {
    const signal = waiter.extras?.signal;
    // A hook may have aborted the signal since it was checked. It emits nothing any more then.
    if (signal?.aborted) return this.reject(waiter, new AcquireAbortedError(signal.reason));
    this.#deadlines.add(waiter, now);
    if (signal) this.#aborts.add(waiter, signal);
  }

  /**
   * Removes the waiter to be served next and returns it; `undefined` when no
   * waiter may get a lease. Waiters past their deadline are expired and passed
   * over: after a freeze the timer is late.
   */
  next(now: number): Waiter<T> | undefined {
    if (this.size === 0) return undefined;
    for (let oldest = this.#oldest(); oldest; oldest = this.#oldest()) {
      const waiter = oldest.deadline > now ? turnAfter(oldest) : oldest;
      if (waiter.deadline > now) {
        this.#remove(waiter, true);
        return waiter;
      }
      this.#expire(overdueFrom(waiter, now), now);
    }
    return undefined;
  }

  /** Rejects the waiter that would be served next, if one could be. */
  rejectNext(error: unknown): void {
    const oldest = this.#oldest();
    if (oldest) this.reject(turnAfter(oldest), error);
  }

  /** Rejects every waiter. */
  rejectAll(createError: () => unknown): void {
    for (const { head } of Object.values(this.#lanes)) {
      for (let waiter = head; waiter;) {
        const { next } = waiter;
        this.reject(waiter, createError());
        waiter = next;
      }
    }
  }

  /** Rejects a waiter. */
  reject(waiter: Waiter<T>, error: unknown): void {
    if (!waiter.waiting) return;
    this.#remove(waiter);
    waiter.reject(error);
  }

  /** Rejects a waiter with a timeout. */
  expire(waiter: Waiter<T>, now: number): void {
    this.#expire([waiter], now);
  }

  /** Expires the waiters at the head of each lane whose deadline has passed: after a freeze the timer is late. */
  expireOverdue(now: number): void {
    for (const { head } of Object.values(this.#lanes)) {
      const overdue = overdueFrom(head, now);
      if (overdue.length > 0) this.#expire(overdue, now);
    }
  }

  /** Cancels the timer. */
  stop(): void {
    this.#deadlines.stop();
  }

  /** Expires waiters. The errors describe the pool as it was before the first of them left. */
  #expire(waiters: readonly Waiter<T>[], now: number): void {
    const { events } = this.#context;
    const failure = this.#host.lastCreationFailure;
    const state = this.#host.describe(now);
    const emits = events.has("timedOut");
    withoutStack(() => {
      for (const waiter of waiters) {
        const waitedMs = now - waiter.since;
        const message = `Connection acquire timeout: no connection became available within ${
          Math.round(waitedMs)
        } ms (${state})`;
        const cause = failure && failure.at >= waiter.since ? { cause: failure.error } : undefined;
        this.timeouts++;
        this.reject(waiter, acquireTimeout(message, cause));
        if (emits) events.emit("timedOut", { waitedMs, lane: waiter.queue.lane });
      }
    });
  }

  /** Returns the oldest waiter of the lane to be served next, if one may get a lease now. */
  #oldest(): Waiter<T> | undefined {
    const capacity = this.#capacity;
    const { admin, high, normal, low } = this.#lanes;
    if (capacity.isSplit) {
      const reserved = capacity.room("admin") > 0 ? admin.head : undefined;
      if (reserved || capacity.room("normal") <= 0) return reserved;
      return earlier(earlier(high.head, normal.head), low.head);
    }
    if (capacity.room("normal") <= 0) return undefined;
    if (normal.size === this.size) return normal.head; // most pools use one lane
    return earlier(admin.head, earlier(earlier(high.head, normal.head), low.head));
  }

  #remove(waiter: Waiter<T>, isServed = false): void {
    waiter.waiting = false;
    this.size--;
    waiter.queue.remove(waiter);
    const { extras } = waiter;
    if (!extras) return;
    const { ticket } = extras;
    if (ticket && isServed) ticket.flow.queue.serve(ticket);
    else if (ticket) ticket.flow.queue.remove(ticket);
    this.#deadlines.remove(waiter);
    if (extras.signal) this.#aborts.remove(waiter, extras.signal);
  }
}

/** Returns the one of two waiters of different lanes that is served first; `a` when they tie. */
function earlier<T extends object>(a: Waiter<T> | undefined, b: Waiter<T> | undefined): Waiter<T> | undefined {
  if (!a || !b) return a ?? b;
  return b.since + b.queue.agingOffsetMs < a.since + a.queue.agingOffsetMs ? b : a;
}

/** Returns the waiter to be served next in the lane of its oldest one. */
function turnAfter<T extends object>(oldest: Waiter<T>): Waiter<T> {
  return oldest.queue.flows?.first ?? oldest;
}

/** Returns `waiter` and those behind it, as far as their deadlines have passed. */
function overdueFrom<T extends object>(waiter: Waiter<T> | undefined, now: number): Waiter<T>[] {
  const overdue: Waiter<T>[] = [];
  for (let one = waiter; one && one.deadline <= now; one = one.next) overdue.push(one);
  return overdue;
}
