/**
 * The events of a pool, and the recorders of its times.
 *
 * @module
 */
import { EventHub, observe } from "../resilience/mod.ts";
import type { PoolLimits } from "./capacity.ts";
import type { Lane } from "./lane.ts";

/** The reason for which a resource was destroyed. */
export type DestroyReason =
  /** It was idle for `idleTimeoutMs`, above `minConnections`. */
  | "idle"
  /** It was older than `maxLifetimeMs`. */
  | "lifetime"
  /** It was leased `maxUses` times. */
  | "uses"
  /** It died, or `validate` or `reset` failed. */
  | "invalid"
  /** Its holder released it as broken. */
  | "broken"
  /** `maxConnections` was lowered. */
  | "shrunk"
  /** Memory was low, and it was idle above the floor. */
  | "memory"
  /** The pool was shut down. */
  | "shutdown"
  /** It arrived after its creation had timed out. */
  | "late";

/** The origin of an `error` event. */
export type ErrorSource = "create" | "validate" | "reset" | "destroy" | "invalidate" | "listener";

/** The part of an event that identifies a lease. */
export interface LeaseInfo {
  /** The number of the lease: `Lease.id`. */
  readonly leaseId: number;
  /** The number of its resource. */
  readonly resourceId: number;
  /** The lane it was acquired in. */
  readonly lane: Lane;
}

/**
 * Each event of a pool, by name. Events are plain data. They are delivered in a
 * microtask, in the order in which they were emitted, when the pool is at rest.
 */
export interface PoolEvents {
  /** A resource was created. Its `resourceId` counts from 1. */
  created: { readonly resourceId: number; readonly durationMs: number };
  /** A resource was destroyed, or abandoned because its `destroy` hung. `ageMs`: the time since it was created. */
  destroyed: {
    readonly resourceId: number;
    readonly reason: DestroyReason;
    readonly abandoned: boolean;
    readonly ageMs: number;
  };
  /** A resource was leased. `waitedMs` is 0 where one was idle. */
  acquired: LeaseInfo & { readonly waitedMs: number };
  /** A lease ended. */
  released: LeaseInfo & { readonly heldMs: number };
  /** An acquire found no idle resource and waits. */
  waited: { readonly waiting: number; readonly lane: Lane };
  /** An acquire reached its deadline. */
  timedOut: { readonly waitedMs: number; readonly lane: Lane };
  /** A lease is older than `leakThresholdMs`; emitted once per lease. `stack` is that of the acquire, if captured. */
  leaked: LeaseInfo & { readonly heldMs: number; readonly stack: string | undefined };
  /** A lease that was reported as leaked ended. */
  returned: LeaseInfo & { readonly heldMs: number };
  /** The limits were changed. */
  resized: { readonly limits: PoolLimits; readonly before: PoolLimits };
  /** Memory is low: the limit is halved, and idle resources above the floor are closed. */
  memoryLow: { readonly leased: number };
  /** Memory is no longer low: the limit is what it was. */
  memoryRecovered: { readonly leased: number };
  /**
   * The limit that follows load has changed. `applied` is false where it only would have, because `adaptiveLimit` is
   * `dry-run`.
   */
  limitChanged: { readonly limit: number; readonly before: number; readonly applied: boolean };
  /** The pool is shut down and empty, except for `abandoned` resources whose `destroy` hung. */
  closed: { readonly abandoned: number };
  /** A hook of the factory or a listener failed, or a resource died. Without a listener, nothing is thrown. */
  error: {
    readonly error: unknown;
    readonly source: ErrorSource;
    /** The resource that became invalid, where `source` is `invalidate`. */
    readonly resourceId?: number;
  };
}

/**
 * Takes the times of every lease, for histograms. Unlike a listener it is called
 * synchronously, without an event being created: its methods should note the
 * number and return. What they throw becomes an `error` event.
 */
export interface PoolRecorder {
  /** Takes the wait of a lease that was granted, in ms, and its lane; 0 where a resource was idle. */
  waitTime?(waitedMs: number, lane: Lane): void;
  /** Takes the duration of a lease that ended, in ms. */
  useTime?(heldMs: number): void;
}

/** The events that every lease emits. */
const LEASE_EVENTS = Object.freeze(["acquired", "released", "leaked", "returned"] as const);

/** The events and recorders of one pool. */
export class PoolEventHub extends EventHub<PoolEvents> {
  #recorders: readonly PoolRecorder[] = [];

  /** True when something observes leases. Otherwise their times need not be taken. */
  observesLeases = false;

  constructor() {
    super({ listenerError: (error) => ({ error, source: "listener" }), onChange: () => this.#changed() });
  }

  /** Passes times to a recorder until the returned subscription is disposed of. */
  record(recorder: PoolRecorder): Disposable {
    // An entry of its own, so that the same recorder added twice is two subscriptions.
    const entry: PoolRecorder = {
      waitTime: (ms, lane) => this.#watch(recorder.waitTime?.(ms, lane)),
      useTime: (ms) => this.#watch(recorder.useTime?.(ms)),
    };
    this.#setRecorders([...this.#recorders, entry]);
    return { [Symbol.dispose]: () => this.#setRecorders(this.#recorders.filter((other) => other !== entry)) };
  }

  /** Passes the wait of a lease to the recorders. */
  recordWait(ms: number, lane: Lane): void {
    for (const recorder of this.#recorders) {
      try {
        recorder.waitTime?.(ms, lane);
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** Passes the duration of a lease to the recorders. */
  recordUse(ms: number): void {
    for (const recorder of this.#recorders) {
      try {
        recorder.useTime?.(ms);
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  #failed(error: unknown): void {
    this.emit("error", { error, source: "listener" });
  }

  /** A recorder returns nothing, unless it is asynchronous against its type. */
  #watch(result: unknown): void {
    if (result !== undefined) observe(() => result, (error) => this.#failed(error));
  }

  #setRecorders(recorders: readonly PoolRecorder[]): void {
    this.#recorders = recorders;
    this.#changed();
  }

  #changed(): void {
    this.observesLeases = this.#recorders.length > 0 || LEASE_EVENTS.some((name) => this.has(name));
  }
}
