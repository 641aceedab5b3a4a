/**
 * Listeners without arguments.
 *
 * @module
 */
import { observe } from "../../resilience/mod.ts";

/** Listeners, each of which its owner can remove: caches may share a connection that outlives them. */
export class ListenerList {
  readonly #listeners = new Set<() => void>();

  /** Adds a listener. Returns the function that removes it. */
  add(listener: () => void): () => void {
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Calls all listeners in the order in which they were added. What they throw is ignored. */
  notify(): void {
    for (const listener of [...this.#listeners]) observe(listener, () => {});
  }
}
