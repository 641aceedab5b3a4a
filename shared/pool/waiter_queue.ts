/**
 * First come, first served, with a way out of the middle.
 *
 * ```text
 *   head -> [w1] <-> [w2] <-> [w3] <- tail
 * ```
 *
 * The links are fields of the elements, so that joining, leaving and being
 * served cost the same with ten elements as with a hundred thousand, and
 * allocate nothing. (`Array.shift` moves every element behind it.)
 *
 * A finger rests on the oldest of those elements that are marked `usual`. When
 * that one leaves, the finger moves on to the next; it never moves back, so that
 * it passes each element once.
 *
 * Contract: an element is in one queue at most, its `usual` does not change
 * while it is there; {@linkcode WaiterQueue.remove} takes an element of this queue.
 *
 * @module
 */

/** What an element of a {@linkcode WaiterQueue} carries for it. */
export interface QueueNode<N> {
  /** Whether {@linkcode WaiterQueue.firstUsual} counts it. */
  readonly usual: boolean;
  next: N | undefined;
  previous: N | undefined;
}

/** An intrusive doubly linked FIFO list. */
export class WaiterQueue<N extends QueueNode<N>> {
  #head: N | undefined = undefined;
  #tail: N | undefined = undefined;
  #firstUsual: N | undefined = undefined;
  #size = 0;

  /** How many elements there are. */
  get size(): number {
    return this.#size;
  }

  /** The oldest element. */
  get head(): N | undefined {
    return this.#head;
  }

  /** The oldest of the elements that are marked so. */
  get firstUsual(): N | undefined {
    return this.#firstUsual;
  }

  /** Adds an element behind all others. */
  push(node: N): void {
    if (node.usual) this.#firstUsual ??= node;
    node.previous = this.#tail;
    if (this.#tail) this.#tail.next = node;
    else this.#head = node;
    this.#tail = node;
    this.#size++;
  }

  /** Takes the oldest element out. */
  shift(): N | undefined {
    const node = this.#head;
    if (node) this.remove(node);
    return node;
  }

  /** Takes `node`, an element of this queue, out of it. */
  remove(node: N): void {
    const { next, previous } = node;
    if (node === this.#firstUsual) {
      let other = next;
      while (other && !other.usual) other = other.next;
      this.#firstUsual = other;
    }
    if (previous) previous.next = next;
    else this.#head = next;
    if (next) next.previous = previous;
    else this.#tail = previous;
    node.next = undefined;
    node.previous = undefined;
    this.#size--;
  }
}
