/**
 * A first-in, first-out queue whose elements can leave from the middle.
 *
 * ```text
 *   head -> [w1] <-> [w2] <-> [w3] <- tail
 * ```
 *
 * The links are fields of the elements. Adding, leaving and being served cost
 * the same with ten elements as with a hundred thousand, and allocate nothing.
 * (`Array.shift` moves every element behind it.)
 *
 * A cursor rests on the oldest element with the default timeout. When that one
 * leaves, the cursor moves to the next such element; it never moves back, so
 * that it passes each element once.
 *
 * Contract: an element is in at most one queue, its `usesDefaultTimeout` does
 * not change while it is there, and {@linkcode WaiterQueue.remove} is called
 * with an element of this queue.
 *
 * @module
 */

/** The fields that an element of a {@linkcode WaiterQueue} carries for it. */
export interface QueueNode<N> {
  /** True when {@linkcode WaiterQueue.firstWithDefaultTimeout} counts it. */
  readonly usesDefaultTimeout: boolean;
  next: N | undefined;
  previous: N | undefined;
}

/** An intrusive doubly linked list. */
export class WaiterQueue<N extends QueueNode<N>> {
  #head: N | undefined = undefined;
  #tail: N | undefined = undefined;
  #cursor: N | undefined = undefined;
  #size = 0;

  /** The number of elements. */
  get size(): number {
    return this.#size;
  }

  /** The oldest element. */
  get head(): N | undefined {
    return this.#head;
  }

  /** The youngest element. */
  get tail(): N | undefined {
    return this.#tail;
  }

  /** The oldest element with the default timeout. */
  get firstWithDefaultTimeout(): N | undefined {
    return this.#cursor;
  }

  /** Adds an element at the end. */
  push(node: N): void {
    if (node.usesDefaultTimeout) this.#cursor ??= node;
    node.previous = this.#tail;
    if (this.#tail) this.#tail.next = node;
    else this.#head = node;
    this.#tail = node;
    this.#size++;
  }

  /** Removes an element of this queue. */
  remove(node: N): void {
    const { next, previous } = node;
    if (node === this.#cursor) {
      let other = next;
      while (other && !other.usesDefaultTimeout) other = other.next;
      this.#cursor = other;
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
