/**
 * A binary heap whose elements can change and leave.
 *
 * @module
 */

/** An element of an {@linkcode IndexedHeap}. */
export class HeapEntry<V> {
  readonly value: V;
  /** Its index in the heap; -1 outside. Only the heap changes it. */
  index = -1;

  constructor(value: V) {
    this.value = value;
  }
}

/** A binary heap. Each entry knows its index, so that any of them moves or leaves in O(log n). */
export class IndexedHeap<V> {
  readonly #entries: HeapEntry<V>[] = [];
  readonly #precedes: (a: V, b: V) => boolean;

  /** @param precedes Returns whether `a` comes before `b`: a strict order. */
  constructor(precedes: (a: V, b: V) => boolean) {
    this.#precedes = precedes;
  }

  /** The number of entries. */
  get size(): number {
    return this.#entries.length;
  }

  /** The value that no other one precedes. */
  get first(): V | undefined {
    return this.#entries[0]?.value;
  }

  /** Adds an entry, or moves it after its value has changed. */
  update(entry: HeapEntry<V>): void {
    if (entry.index < 0) {
      entry.index = this.#entries.length;
      this.#entries.push(entry);
    }
    this.#rise(entry);
    this.#sink(entry);
  }

  /** Removes an entry, if it is in the heap. */
  remove(entry: HeapEntry<V>): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.#entries.pop();
    if (last === undefined || last === entry) return;
    this.#put(last, index);
    this.update(last);
  }

  #rise(entry: HeapEntry<V>): void {
    while (entry.index > 0) {
      const parent = this.#entries[(entry.index - 1) >> 1];
      if (parent === undefined || !this.#precedes(entry.value, parent.value)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: HeapEntry<V>): void {
    for (let child = this.#firstChild(entry); child && this.#precedes(child.value, entry.value);) {
      this.#swap(child, entry);
      child = this.#firstChild(entry);
    }
  }

  /** Returns the child of an entry that precedes the other. */
  #firstChild({ index }: HeapEntry<V>): HeapEntry<V> | undefined {
    const left = this.#entries[2 * index + 1];
    const right = this.#entries[2 * index + 2];
    return left && right && this.#precedes(right.value, left.value) ? right : left;
  }

  #swap(a: HeapEntry<V>, b: HeapEntry<V>): void {
    const { index } = a;
    this.#put(a, b.index);
    this.#put(b, index);
  }

  #put(entry: HeapEntry<V>, index: number): void {
    this.#entries[index] = entry;
    entry.index = index;
  }
}
