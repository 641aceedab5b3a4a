/**
 * Many deadlines on one timer.
 *
 * {@linkcode DeadlineQueue} keeps its elements in buckets, one for each
 * millisecond; the buckets form a binary heap, earliest on top:
 *
 * ```text
 *   heap:    [t=5000]  [t=5001]  [t=9000]
 *               |          |         |
 *             n1<->n2      n3      n4<->n5<->n6
 * ```
 *
 * Adding and removing an element is O(1): a heap operation happens once per
 * bucket, not once per element. Neither touches the timer unless the new
 * element is due before all others.
 *
 * @module
 */
import type { Clock, Timer } from "./clock.ts";

/** Maximum work in one turn of the event loop; the rest waits for the next turn. */
const CHUNK = 4_096;

/** Maximum length of a turn, in ms: the callbacks have work of their own to do in it. */
const TURN_MS = 4;

/** Work between two reads of the clock. */
const WORK_PER_CLOCK_READ = 64;

/** Number of empty buckets that never cause a compaction. */
const MAX_EMPTY = 64;

interface Bucket<N> {
  readonly at: number;
  head: N | undefined;
  tail: N | undefined;
}

/** The fields that an element of a {@linkcode DeadlineQueue} carries for the queue. */
export interface DeadlineNode<N> {
  /** Time at which the element is due, in ms of the queue's clock; `Infinity` for never. */
  readonly deadline: number;
  dueNext: N | undefined;
  duePrevious: N | undefined;
  dueBucket: Bucket<N> | undefined;
}

/** Options for {@linkcode DeadlineQueue}. */
export interface DeadlineQueueOptions {
  /**
   * True if the timer keeps running after the last element has left. It then
   * fires, finds nothing due and ends. Under load that costs far less than
   * clearing and setting the timer for each element, but the owner must call
   * {@linkcode DeadlineQueue.stop}. Default: `false`.
   */
  readonly keepTimer?: boolean;
}

/**
 * A set of elements with deadlines that share one timer.
 *
 * An element is in at most one queue, and its `deadline` does not change while
 * it is there. Elements are passed to `onDue` in order of the millisecond of
 * their deadline, those of the same millisecond in order of arrival. An element
 * that was passed to `onDue` may be added again with a new deadline.
 */
export class DeadlineQueue<N extends DeadlineNode<N>> {
  readonly #clock: Clock;
  readonly #onDue: (node: N, now: number) => number;
  readonly #keepTimer: boolean;
  readonly #buckets = new Map<number, Bucket<N>>();
  readonly #heap: Bucket<N>[] = [];
  #empty = 0;
  /** The bucket of the latest addition: the next element usually belongs there too. */
  #recent: Bucket<N> | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #timerAt = Infinity;
  #firing = false;

  /**
   * @param onDue Called for each element whose deadline has come, after the element has left the queue. Returns how
   * much work it did, 1 or more, which limits the length of a turn.
   */
  constructor(
    clock: Clock,
    onDue: (node: N, now: number) => number,
    { keepTimer = false }: DeadlineQueueOptions = {},
  ) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#keepTimer = keepTimer;
  }

  /** The number of buckets, empty ones included: what the queue holds beside its elements. */
  get buckets(): number {
    return this.#heap.length;
  }

  /** Adds an element. An element that is never due is not kept. */
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

  /** Removes an element, if it is in the queue. */
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
    if (this.#heap.length === 0 && !this.#keepTimer) this.stop();
  }

  /** Cancels the timer: `onDue` is not called again until an element is added that is due before all others. */
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
      if (at < this.#timerAt && !this.#firing) this.#arm(at, now);
    }
    this.#recent = bucket;
    return bucket;
  }

  /** Removes empty buckets from the top of the heap; in first-come order they are all there. */
  #dropEmpty(): void {
    for (let top = this.#heap[0]; top && !top.head; top = this.#heap[0]) {
      this.#buckets.delete(top.at);
      if (top === this.#recent) this.#recent = undefined;
      this.#pop();
      this.#empty--;
    }
  }

  /** Removes the empty buckets that an early element keeps from the top. */
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
    this.#firing = true;
    try {
      this.#expire(now);
    } finally {
      this.#firing = false;
      this.#dropEmpty();
      const next = this.#heap[0];
      if (next && next.at < this.#timerAt) this.#arm(next.at, now);
    }
  }

  #expire(now: number): void {
    let readClockAt = WORK_PER_CLOCK_READ;
    for (let work = 0; work < CHUNK;) {
      // An empty bucket is never on top.
      const bucket = this.#heap[0];
      if (!bucket?.head || bucket.at > now) return;
      const node = bucket.head;
      this.remove(node);
      work += this.#onDue(node, now);
      if (work < readClockAt) continue;
      if (this.#clock.now() - now >= TURN_MS) return;
      readClockAt = work + WORK_PER_CLOCK_READ;
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

/** A timer that knows when it fires. */
export interface DeadlineTimer extends Timer {
  /** The time at which it fires, in ms of its clock. */
  readonly deadline: number;
}

/** A callback with a deadline. */
class Deadline implements DeadlineTimer, DeadlineNode<Deadline> {
  readonly #queue: DeadlineQueue<Deadline>;
  readonly onDue: () => void;
  readonly deadline: number;
  dueNext: Deadline | undefined = undefined;
  duePrevious: Deadline | undefined = undefined;
  dueBucket: Bucket<Deadline> | undefined = undefined;

  constructor(queue: DeadlineQueue<Deadline>, onDue: () => void, deadline: number) {
    this.#queue = queue;
    this.onDue = onDue;
    this.deadline = deadline;
  }

  cancel(): void {
    this.#queue.remove(this);
  }
}

/**
 * Calls functions at their deadlines, all of them with one timer. Setting and
 * clearing a timer of the runtime costs more than everything else about a
 * deadline that is cancelled in time, as nearly all are.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #queue: DeadlineQueue<Deadline>;

  /** @param options `keepTimer` is for owners that call {@linkcode Deadlines.stop}. */
  constructor(clock: Clock, options?: DeadlineQueueOptions) {
    this.#clock = clock;
    this.#queue = new DeadlineQueue(clock, ({ onDue }) => {
      onDue();
      return 1;
    }, options);
  }

  /**
   * Calls `onDue` once, `delayMs` milliseconds from now, unless the returned timer is cancelled. The timer does not
   * keep the process alive.
   *
   * @param delayMs `Infinity` for never.
   * @param now The current time of the clock, where the caller has read it already.
   */
  start(delayMs: number, onDue: () => void, now: number = this.#clock.now()): DeadlineTimer {
    const deadline = new Deadline(this.#queue, onDue, now + delayMs);
    this.#queue.add(deadline, now);
    return deadline;
  }

  /** Returns the time until `timer` fires, in ms; `Infinity` without one. */
  leftMs(timer: DeadlineTimer | undefined): number {
    return timer === undefined ? Infinity : timer.deadline - this.#clock.now();
  }

  /** Cancels the timer and with it all deadlines. */
  stop(): void {
    this.#queue.stop();
  }
}
