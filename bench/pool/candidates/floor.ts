/**
 * The floor: a promise and a linked list, without anything that makes a pool
 * safe to use. No pool with the same interface can be faster.
 *
 * @module
 */
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

interface Node {
  readonly resolve: (thing: Thing) => void;
  next: Node | undefined;
}

class FloorPool {
  readonly #free: Thing[] = [];
  #head: Node | undefined = undefined;
  #tail: Node | undefined = undefined;

  constructor(slots: number) {
    const create = thingFactory();
    for (let count = 0; count < slots; count++) this.#free.push(create());
  }

  acquire(): Promise<Thing> {
    const thing = this.#free.pop();
    if (thing) return Promise.resolve(thing);
    return new Promise((resolve) => {
      const node: Node = { resolve, next: undefined };
      if (this.#tail) this.#tail.next = node;
      else this.#head = node;
      this.#tail = node;
    });
  }

  release(thing: Thing): void {
    const node = this.#head;
    if (!node) {
      this.#free.push(thing);
      return;
    }
    this.#head = node.next;
    if (!node.next) this.#tail = undefined;
    node.resolve(thing);
  }
}

/** A promise and a linked FIFO list. */
export const floor: PoolCandidate = {
  id: "floor",
  title: "floor",
  role: "floor",
  timeout: "none",
  open({ slots }: OpenOptions): OpenPool<Thing> {
    const pool = new FloorPool(slots);
    return {
      kind: "lease",
      acquire: () => pool.acquire(),
      release: (thing) => pool.release(thing),
      close: () => Promise.resolve(),
    };
  },
};
