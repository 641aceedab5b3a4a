/**
 * What a manager tells those who listen.
 *
 * @module
 */
import type { PoolStats } from "../pool/mod.ts";

/** What a health check found. */
export interface PostgresHealth {
  /** Whether the database answered and the pool lends. */
  readonly healthy: boolean;
  /** Why not. Without values or secrets; for operators all the same. */
  readonly error?: Error;
  /** How long it took, in ms. */
  readonly durationMs: number;
  /** How the pool stands. */
  readonly stats: PoolStats;
}

/** Each event of a manager, and what its listeners are given. */
export interface ManagerEvents {
  /** A health check has ended, well or not. */
  healthCheck: PostgresHealth;
  /** A health check has failed. */
  healthCheckFailed: Error;
  /** Something went wrong that no caller learns of, or not all of it: a connection died, could not be made, or was cut. */
  error: Error;
  /** The database answers again after it had not. */
  recovered: {
    /** How long it had not, in ms. */
    readonly downMs: number;
  };
}

type Listener<E> = (event: E) => void | PromiseLike<void>;

/** Typed listeners. One that throws disturbs nothing; an event that nobody hears is nothing. */
export class ManagerHub {
  readonly #listeners: { [K in keyof ManagerEvents]: Set<Listener<ManagerEvents[K]>> } = {
    healthCheck: new Set(),
    healthCheckFailed: new Set(),
    error: new Set(),
    recovered: new Set(),
  };

  /** Calls `listener` at each event of that name until the subscription is disposed of. */
  on<K extends keyof ManagerEvents>(name: K, listener: Listener<ManagerEvents[K]>): Disposable {
    const entry: Listener<ManagerEvents[K]> = (event) => listener(event);
    this.#listeners[name].add(entry);
    return { [Symbol.dispose]: () => void this.#listeners[name].delete(entry) };
  }

  /** Tells everybody, in a microtask: a listener that uses the manager finds it at rest. */
  emit<K extends keyof ManagerEvents>(name: K, event: ManagerEvents[K]): void {
    if (this.#listeners[name].size === 0) return;
    queueMicrotask(() => {
      for (const entry of [...this.#listeners[name]]) {
        void this.#tell(name, entry, event);
      }
    });
  }

  /** A listener may be async: a rejection that nobody handles would end the isolate. */
  async #tell<K extends keyof ManagerEvents>(
    name: K,
    entry: Listener<ManagerEvents[K]>,
    event: ManagerEvents[K],
  ): Promise<void> {
    try {
      await entry(event);
    } catch (error) {
      if (name !== "error") this.emit("error", error instanceof Error ? error : new Error(String(error)));
    }
  }
}
