/**
 * Tells which elements are due, with one timer for all of them.
 *
 * Elements are kept in buckets, one to a millisecond; the buckets are a binary
 * heap, earliest on top:
 *
 * ```text
 *   heap:    [t=5000]  [t=5001]  [t=9000]
 *               |          |         |
 *             w1<->w2      w3      w4<->w5<->w6
 * ```
 *
 * Adding and removing an element is O(1) (a heap operation comes once to a
 * bucket, not once to an element), and neither touches the timer unless the new
 * element is due before all others. The timer is left to run when the element it
 * was set for leaves: it then finds nothing due and sets itself anew, which
 * under load costs far less than clearing and setting it at each turn.
 *
 * Contract: an element is in one queue at most, its `deadline` does not change
 * while it is there, and the elements of one chunk are told in order of their
 * deadline's millisecond, those of the same millisecond in order of arrival.
 * An element that is told may be added again with a new deadline.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";

/** So much work at most is done in one turn of the event loop; the rest waits for the next. */
const CHUNK = 4_096;

/** No turn is longer than this, in ms: those who are told have work of their own to do in it. */
const TURN_MS = 4;

/** The clock is looked at once for so much work. */
const LOOK_EVERY = 64;

/** So many empty buckets are put up with, however few full ones there are. */
const MAX_EMPTY = 64;

interface Bucket<N> {
  readonly at: number;
  head: N | undefined;
  tail: N | undefined;
}

/** What an element of a {@linkcode DeadlineQueue} carries for it. */
export interface DueNode<N> {
  /** When it is due, in ms of the queue's clock; `Infinity` for never. */
  readonly deadline: number;
  dueNext: N | undefined;
  duePrevious: N | undefined;
  dueBucket: Bucket<N> | undefined;
}

/** A set of elements with deadlines, and the timer that calls them. */
export class DeadlineQueue<N extends DueNode<N>> {
  readonly #clock: Clock;
  readonly #onDue: (node: N, now: number) => number;
  readonly #buckets = new Map<number, Bucket<N>>();
  readonly #heap: Bucket<N>[] = [];
  #empty = 0;
  /** The bucket of the latest addition: the next one mostly belongs into it too. */
  #recent: Bucket<N> | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #timerAt = Infinity;
  #telling = false;

  /**
   * @param onDue Told of each element when its deadline has come, after it has left the queue. It says how much work
   * that was, 1 or more, for the length of a turn.
   */
  constructor(clock: Clock, onDue: (node: N, now: number) => number) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** How many buckets there are, empty ones included: what the queue holds beside its elements. */
  get buckets(): number {
    return this.#heap.length;
  }

  /** Adds an element. One that is never due is not kept. */
  add(node: N, now: number): void {
    if (node.deadline === Infinity) return;
    const at = Math.ceil(node.deadline);
    const bucket = this.#recent?.at === at ? this.#recent : this.#bucketAt(at, now);
    node.dueBucket = bucket;
    node.duePrevious = bucket.tail;
    if (bucket.tail) bucket.tail.dueNext = node;
    else {
      bucket.head = node;
      this.#empty--;
    }
    bucket.tail = node;
  }

  /** Takes an element out, if it is in. */
  remove(node: N): void {
    const bucket = node.dueBucket;
    if (!bucket) return;
    const { dueNext, duePrevious } = node;
    if (duePrevious) duePrevious.dueNext = dueNext;
    else bucket.head = dueNext;
    if (dueNext) dueNext.duePrevious = duePrevious;
    else bucket.tail = duePrevious;
    node.dueBucket = undefined;
    node.dueNext = undefined;
    node.duePrevious = undefined;
    if (bucket.head) return;
    this.#empty++;
    this.#dropEmpty();
    if (this.#empty > MAX_EMPTY && this.#empty > this.#heap.length / 2) this.#compact();
  }

  /** Drops the timer: nothing is told any more until an element is added that is due before all others. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #bucketAt(at: number, now: number): Bucket<N> {
    let bucket = this.#buckets.get(at);
    if (!bucket) {
      bucket = { at, head: undefined, tail: undefined };
      this.#buckets.set(at, bucket);
      this.#push(bucket);
      this.#empty++;
      if (at < this.#timerAt && !this.#telling) this.#arm(at, now);
    }
    this.#recent = bucket;
    return bucket;
  }

  /** Empty buckets leave the heap when they reach its top; in first-come order they are there already. */
  #dropEmpty(): void {
    for (let top = this.#heap[0]; top && !top.head; top = this.#heap[0]) {
      this.#buckets.delete(top.at);
      if (top === this.#recent) this.#recent = undefined;
      this.#pop();
      this.#empty--;
    }
  }

  /** Throws out empty buckets that an early one keeps from the top. */
  #compact(): void {
    const full = this.#heap.filter((bucket) => bucket.head);
    this.#heap.length = 0;
    this.#buckets.clear();
    this.#recent = undefined;
    this.#empty = 0;
    for (const bucket of full) {
      this.#buckets.set(bucket.at, bucket);
      this.#push(bucket);
    }
  }

  #arm(at: number, now: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.setTimer(() => this.#fire(), at - now);
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const now = this.#clock.now();
    this.#telling = true;
    try {
      this.#tell(now);
    } finally {
      this.#telling = false;
      this.#dropEmpty();
      const next = this.#heap[0];
      if (next && next.at < this.#timerAt) this.#arm(next.at, now);
    }
  }

  #tell(now: number): void {
    let lookAt = LOOK_EVERY;
    for (let told = 0; told < CHUNK;) {
      const bucket = this.#heap[0];
      if (!bucket || bucket.at > now) return;
      const node = bucket.head;
      if (!node) {
        this.#dropEmpty();
        continue;
      }
      this.remove(node);
      told += this.#onDue(node, now);
      if (told < lookAt) continue;
      if (this.#clock.now() - now >= TURN_MS) return;
      lookAt = told + LOOK_EVERY;
    }
  }

  #push(bucket: Bucket<N>): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(bucket);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (!parent || parent.at <= bucket.at) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = bucket;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let child = heap[below];
      if (!child) break;
      const right = heap[below + 1];
      if (right && right.at < child.at) {
        child = right;
        below++;
      }
      if (child.at >= last.at) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}
