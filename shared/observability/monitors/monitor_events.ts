/**
 * The events of a monitor of connections.
 *
 * @module
 */
import { observe } from "../../resilience/mod.ts";
import type { ServiceHealth } from "./service_health.ts";

/** The arguments of each event of a `ConnectionMonitor`, by name. */
export interface ConnectionMonitorEvents {
  /** The status of a service has changed. */
  "health-change": [service: string, health: ServiceHealth, previousHealth: ServiceHealth];
  /** A check of a service failed, or its pool reported an error. */
  "connection-error": [service: string, error: Error];
  /** A service that was unhealthy is healthy again. */
  "connection-recovery": [service: string];
  /** Writes of a service go to another server. */
  "failover": [service: string, from: string, to: string];
}

/** A listener of one event. What it throws, or rejects with, is ignored. */
export type ConnectionMonitorListener<K extends keyof ConnectionMonitorEvents> = (
  ...args: ConnectionMonitorEvents[K]
) => unknown;

interface Entry {
  readonly listener: unknown;
  readonly call: (...args: never) => unknown;
}

/** Calls the listeners of each event, in the order in which they were added. */
export class MonitorEmitter {
  readonly #entries = new Map<keyof ConnectionMonitorEvents, readonly Entry[]>();

  /** Adds a listener, until the subscription is disposed of. */
  add<K extends keyof ConnectionMonitorEvents>(
    name: K,
    listener: ConnectionMonitorListener<K>,
    once = false,
  ): Disposable {
    const entry: Entry = {
      listener,
      call: (...args: ConnectionMonitorEvents[K]) => {
        if (once) this.#remove(name, entry);
        return listener(...args);
      },
    };
    this.#entries.set(name, [...this.#entries.get(name) ?? [], entry]);
    return { [Symbol.dispose]: () => this.#remove(name, entry) };
  }

  /** Removes a listener; one that was added several times, once. */
  remove<K extends keyof ConnectionMonitorEvents>(name: K, listener: ConnectionMonitorListener<K>): void {
    const entry = this.#entries.get(name)?.find((each) => each.listener === listener);
    if (entry) this.#remove(name, entry);
  }

  /** Calls the listeners of an event. */
  emit<K extends keyof ConnectionMonitorEvents>(name: K, ...args: ConnectionMonitorEvents[K]): void {
    for (const { call } of this.#entries.get(name) ?? []) observe(() => call(...args as never), () => {});
  }

  #remove(name: keyof ConnectionMonitorEvents, entry: Entry): void {
    this.#entries.set(name, (this.#entries.get(name) ?? []).filter((other) => other !== entry));
  }
}
