/**
 * The floor with an acquire timeout: the minimum cost of a deadline.
 *
 * @module
 */
import { type OpenOptions, type OpenPool, type PoolCandidate, type Thing, thingFactory } from "./candidate.ts";

interface Node {
  readonly resolve: (thing: Thing) => void;
  readonly reject: (error: Error) => void;
  readonly deadline: number;
  next: Node | undefined;
}

/** All waiters have the same timeout, so the first in the queue expires first and one timer serves all. */
class FloorPoolWithTimer {
  readonly #free: Thing[] = [];
  readonly #timeoutMs: number;
  #head: Node | undefined = undefined;
  #tail: Node | undefined = undefined;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(slots: number, timeoutMs: number) {
    const create = thingFactory();
    for (let count = 0; count < slots; count++) this.#free.push(create());
    this.#timeoutMs = timeoutMs;
  }

  acquire(): Promise<Thing> {
    const thing = this.#free.pop();
    if (thing) return Promise.resolve(thing);
    return new Promise((resolve, reject) => {
      const node: Node = { resolve, reject, deadline: Date.now() + this.#timeoutMs, next: undefined };
      if (this.#tail) this.#tail.next = node;
      else this.#head = node;
      this.#tail = node;
      this.#timer ??= setTimeout(() => this.#expire(), this.#timeoutMs);
    });
  }

  release(thing: Thing): void {
    const node = this.#take();
    if (node) node.resolve(thing);
    else this.#free.push(thing);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #take(): Node | undefined {
    const node = this.#head;
    if (!node) return undefined;
    this.#head = node.next;
    if (!node.next) this.#tail = undefined;
    return node;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = Date.now();
    while (this.#head && this.#head.deadline <= now) this.#take()?.reject(new Error("Timed out"));
    if (this.#head) this.#timer = setTimeout(() => this.#expire(), this.#head.deadline - now);
  }
}

/** A promise, a linked FIFO list and one timer for all waiters. */
export const floorWithTimer: PoolCandidate = {
  id: "floor_timer",
  title: "floor, one shared timer",
  role: "floor",
  timeout: "shared",
  open({ slots, timeoutMs }: OpenOptions): OpenPool<Thing> {
    const pool = new FloorPoolWithTimer(slots, timeoutMs);
    return {
      kind: "lease",
      acquire: () => pool.acquire(),
      release: (thing) => pool.release(thing),
      close: (held) => {
        if (held) pool.release(held);
        pool.close();
        return Promise.resolve();
      },
    };
  },
};
