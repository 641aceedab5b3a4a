/**
 * The floor: a promise and a linked list, and nothing that makes a pool safe
 * to use. No pool with the same interface can be faster, so it says what
 * part of a figure is the language's.
 *
 * @module
 */
import { type Contender, type LendSession, type SessionOptions, type Thing, thingMaker } from "./contender.ts";

interface Node {
  readonly resolve: (thing: Thing) => void;
  next: Node | undefined;
}

class FloorPool {
  readonly #free: Thing[] = [];
  #head: Node | undefined = undefined;
  #tail: Node | undefined = undefined;

  constructor(slots: number) {
    const make = thingMaker();
    for (let count = 0; count < slots; count++) this.#free.push(make());
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

/** A promise and a linked first-in-first-out list. */
export const floor: Contender = {
  id: "floor",
  title: "floor",
  role: "floor",
  timeout: "none",
  open({ slots }: SessionOptions): LendSession<Thing> {
    const pool = new FloorPool(slots);
    return {
      kind: "lend",
      acquire: () => pool.acquire(),
      release: (thing) => pool.release(thing),
      close: () => Promise.resolve(),
    };
  },
};
