/**
 * Fair queueing: the flows of a lane share its leases.
 *
 * The next lease is for the flow that holds the fewest leases of the lane, per
 * weight. Flows that hold equally few take turns, by self-clocked fair queueing
 * (Golestani, 1994). A flow joins with the tag `virtual time + 1 / weight`, and
 * again after each lease it was granted while it waits; the smallest tag is
 * next, and becomes the virtual time. The tag of a flow that does not wait is
 * in the past, so that nothing of it has to be remembered.
 *
 * What follows, for two flows `i` and `j` of one lane while `i` waits:
 *
 * - No lease is granted to `j` while `j` holds more per weight than `i`. So `j`
 *   gets at most one lease above what `i` holds.
 * - While both hold equally much per weight, `j` is granted at most
 *   `ceil(weight of j / weight of i)` leases before `i` gets one: 1 with equal
 *   weights.
 *
 * Leases are not preempted: a flow that comes to a full pool waits until one of
 * the leases is released.
 *
 * @module
 */
import { HeapEntry, IndexedHeap } from "./indexed_heap.ts";
import type { Waiter } from "./waiter.ts";
import { type QueueNode, WaiterQueue } from "./waiter_queue.ts";

/** A flow with a weight. */
export interface WeightedFlow {
  /** The key of the flow. */
  readonly key: string;
  /**
   * Its share relative to other flows, from 0.001 to 1,000; that of its first acquire counts until it neither waits nor
   * holds a lease. Default: 1.
   */
  readonly weight?: number | undefined;
}

/**
 * The flow of an acquire: the acquires that have one share of the pool together,
 * such as those of one user. A string is the key of a flow of weight 1. The pool
 * keeps a key only while its flow waits or holds a lease, and shows it nowhere;
 * it must not be a secret.
 */
export type Flow = string | WeightedFlow;

/** The key of acquires without a flow: they share one. */
const NO_FLOW = "";

/**
 * The virtual time of a lease of weight 1. Sums of whole numbers are exact, and weights from 1 to 16 divide it: no flow
 * gets ahead by rounding.
 */
const LEASE = 720_720_000;

/** A waiter in the queue of its flow. */
export class FlowTicket<T extends object> implements QueueNode<FlowTicket<T>> {
  readonly waiter: Waiter<T>;
  readonly flow: FlowRecord<T>;
  /** The deadlines follow the queue of the lane, not this one. */
  readonly usesDefaultTimeout = false;
  next: FlowTicket<T> | undefined = undefined;
  previous: FlowTicket<T> | undefined = undefined;

  constructor(waiter: Waiter<T>, flow: FlowRecord<T>) {
    this.waiter = waiter;
    this.flow = flow;
  }
}

/** A flow that waits or holds leases. Only its queue changes it. */
export class FlowRecord<T extends object> {
  readonly queue: FairQueue<T>;
  readonly key: string;
  readonly weight: number;
  /** The virtual time that one of its leases takes. */
  readonly turnLength: number;
  /** Its waiters, first come, first served. */
  readonly tickets = new WaiterQueue<FlowTicket<T>>();
  /** The number of leases it holds. */
  held = 0;
  /** The virtual time at which its turn ends. */
  tag = 0;
  /** The order in which flows got their tags; it decides between equal ones. */
  order = 0;
  /** Its entry among the flows that wait, next first. */
  readonly turn: HeapEntry<FlowRecord<T>> = new HeapEntry(this);
  /** Its entry among the flows that wait, longest first. */
  readonly length: HeapEntry<FlowRecord<T>> = new HeapEntry(this);

  constructor(queue: FairQueue<T>, key: string, weight: number) {
    this.queue = queue;
    this.key = key;
    this.weight = weight;
    this.turnLength = Math.round(LEASE / weight);
  }

  /** Counts out one of its leases. */
  release(): void {
    this.queue.release(this);
  }
}

/** Returns whether more of the queue is taken by `a` than by `b`, per weight. */
export function isLonger<T extends object>(a: FlowRecord<T>, b: FlowRecord<T>): boolean {
  return a.tickets.size * b.weight > b.tickets.size * a.weight;
}

/** Returns whether `a` is served before `b`. */
function isServedBefore<T extends object>(a: FlowRecord<T>, b: FlowRecord<T>): boolean {
  const heldByA = a.held * b.weight;
  const heldByB = b.held * a.weight;
  if (heldByA !== heldByB) return heldByA < heldByB;
  return a.tag === b.tag ? a.order < b.order : a.tag < b.tag;
}

/** The flows of one lane. Each operation costs at most O(log flows). */
export class FairQueue<T extends object> {
  readonly #flows = new Map<string, FlowRecord<T>>();
  readonly #turns = new IndexedHeap<FlowRecord<T>>(isServedBefore);
  readonly #lengths = new IndexedHeap<FlowRecord<T>>(isLonger);
  #virtualTime = 0;
  #order = 0;

  /** The number of flows that wait or hold a lease. */
  get flows(): number {
    return this.#flows.size;
  }

  /** The number of flows that wait. */
  get waitingFlows(): number {
    return this.#turns.size;
  }

  /** The waiter to be served next. */
  get first(): Waiter<T> | undefined {
    return this.#turns.first?.tickets.head?.waiter;
  }

  /** The flow that takes most of the queue, per weight. */
  get longest(): FlowRecord<T> | undefined {
    return this.#lengths.first;
  }

  /** Adds a waiter at the end of its flow. */
  add(waiter: Waiter<T>, given: Flow | undefined): FlowTicket<T> {
    const flow = this.#flowOf(given);
    const ticket = new FlowTicket(waiter, flow);
    flow.tickets.push(ticket);
    if (flow.tickets.size === 1) this.#takeTurn(flow);
    this.#lengths.update(flow.length);
    return ticket;
  }

  /** Removes a waiter that is not served. */
  remove(ticket: FlowTicket<T>): void {
    const { flow } = ticket;
    this.#leave(ticket);
    if (flow.tickets.size === 0) this.#forgetUnused(flow);
  }

  /** Removes a waiter and counts in the lease that it is granted. */
  serve(ticket: FlowTicket<T>): void {
    const { flow } = ticket;
    flow.held++;
    this.#virtualTime = Math.max(this.#virtualTime, flow.tag);
    this.#leave(ticket);
    if (flow.tickets.size > 0) this.#takeTurn(flow);
  }

  /** Counts in a lease that was granted without a wait, and returns its flow, which has no waiters then. */
  hold(given: Flow | undefined): FlowRecord<T> {
    const flow = this.#flowOf(given);
    flow.held++;
    return flow;
  }

  /** Counts out a lease of a flow. */
  release(flow: FlowRecord<T>): void {
    flow.held--;
    if (flow.tickets.size > 0) this.#turns.update(flow.turn);
    else this.#forgetUnused(flow);
  }

  #flowOf(given: Flow = NO_FLOW): FlowRecord<T> {
    const key = typeof given === "string" ? given : given.key;
    let flow = this.#flows.get(key);
    if (!flow) {
      flow = new FlowRecord(this, key, typeof given === "string" ? 1 : given.weight ?? 1);
      this.#flows.set(key, flow);
    }
    return flow;
  }

  /** Puts a flow behind those that have waited for their turn. */
  #takeTurn(flow: FlowRecord<T>): void {
    flow.tag = this.#virtualTime + flow.turnLength;
    flow.order = ++this.#order;
    this.#turns.update(flow.turn);
  }

  #leave(ticket: FlowTicket<T>): void {
    const { flow } = ticket;
    flow.tickets.remove(ticket);
    if (flow.tickets.size > 0) return this.#lengths.update(flow.length);
    this.#lengths.remove(flow.length);
    this.#turns.remove(flow.turn);
    // Without waiters no tag is compared any more.
    if (this.#turns.size === 0) this.#virtualTime = 0;
  }

  #forgetUnused(flow: FlowRecord<T>): void {
    if (flow.held === 0) this.#flows.delete(flow.key);
  }
}
