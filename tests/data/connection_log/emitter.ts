/**
 * A manager without connections.
 *
 * @module
 */
import type { ManagerEvents } from "../../../shared/postgres/mod.ts";

/** Emits events as a manager does, without one. */
export class Emitter {
  readonly #listeners = new Map<string, Set<(event: never) => void>>();

  on<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener as (event: never) => void));
    return { [Symbol.dispose]: () => void all.delete(listener as (event: never) => void) };
  }

  emit<K extends keyof ManagerEvents>(name: K, event: ManagerEvents[K]): void {
    for (const listener of this.#listeners.get(name) ?? []) (listener as (event: unknown) => void)(event);
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }
}
