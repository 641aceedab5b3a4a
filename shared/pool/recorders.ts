/**
 * Times for metrics, at the least cost.
 *
 * @module
 */
import { observe } from "../resilience/mod.ts";

/**
 * Takes the times of every lease, for histograms. Unlike a listener of events
 * it is called on the spot, without an event being made: its methods are to
 * note a number and return. What they throw is reported as an `error` event.
 */
export interface PoolRecorder {
  /** A lease was granted after `waitedMs`; 0 where a resource was free. */
  waitTime?(waitedMs: number): void;
  /** A lease ended after `heldMs`. */
  useTime?(heldMs: number): void;
}

/** The recorders of one pool. */
export class Recorders {
  #all: readonly PoolRecorder[] = [];
  readonly #failed: (error: unknown) => void;
  readonly #changed: () => void;

  /**
   * @param failed Told of what a recorder throws.
   * @param changed Called when one comes or goes.
   */
  constructor(failed: (error: unknown) => void, changed: () => void) {
    this.#failed = failed;
    this.#changed = changed;
  }

  /** Whether there is any. */
  get any(): boolean {
    return this.#all.length > 0;
  }

  /** Adds a recorder until the returned subscription is disposed of. */
  add(recorder: PoolRecorder): Disposable {
    // A wrapper of its own, so that the same recorder added twice is two subscriptions.
    const entry: PoolRecorder = {
      waitTime: (ms) => this.#hear(recorder.waitTime?.(ms)),
      useTime: (ms) => this.#hear(recorder.useTime?.(ms)),
    };
    this.#set([...this.#all, entry]);
    return { [Symbol.dispose]: () => this.#set(this.#all.filter((other) => other !== entry)) };
  }

  /** A lease was granted. */
  waited(ms: number): void {
    for (const recorder of this.#all) {
      try {
        recorder.waitTime?.(ms);
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** A lease ended. */
  used(ms: number): void {
    for (const recorder of this.#all) {
      try {
        recorder.useTime?.(ms);
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** What a recorder returns is nothing, unless it is asynchronous. */
  #hear(result: unknown): void {
    if (result !== undefined) observe(() => result, this.#failed);
  }

  #set(all: readonly PoolRecorder[]): void {
    this.#all = all;
    this.#changed();
  }
}
