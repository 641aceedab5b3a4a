/**
 * What a pool tells those who listen.
 *
 * @module
 */
import { observe } from "../resilience/mod.ts";
import type { Lane } from "./lane.ts";
import type { PoolLimits } from "./limits.ts";
import { Recorders } from "./recorders.ts";

/** Why a resource was closed. */
export type DestroyReason =
  /** Unused for `idleTimeoutMs`, above `minConnections`. */
  | "idle"
  /** Older than `maxLifetimeMs`. */
  | "lifetime"
  /** Lent `maxUses` times. */
  | "uses"
  /** It died, or `validate` or `reset` failed. */
  | "invalid"
  /** Its holder gave it back as broken. */
  | "broken"
  /** `maxConnections` was lowered. */
  | "shrunk"
  /** The pool was shut down. */
  | "shutdown"
  /** It arrived after its creation had been given up. */
  | "late";

/** What an event tells of a lease. */
export interface LeaseInfo {
  /** The lease's number: `Lease.id`. */
  readonly leaseId: number;
  /** The number of the resource that it is for. */
  readonly resourceId: number;
  /** The lane it was acquired in. */
  readonly lane: Lane;
}

/**
 * Each event of a pool, and what its listeners are given. They are told once the
 * pool has come to rest, in the order in which things happened.
 */
export interface PoolEvents {
  /** A resource was created. Its `resourceId` counts from 1. */
  created: { readonly resourceId: number; readonly durationMs: number };
  /** A resource was destroyed, or abandoned because its `destroy` hung. */
  destroyed: { readonly resourceId: number; readonly reason: DestroyReason; readonly abandoned: boolean };
  /** A resource was leased. `waitedMs` is 0 where one was free. */
  acquired: LeaseInfo & { readonly waitedMs: number };
  /** A resource was released. */
  released: LeaseInfo & { readonly heldMs: number };
  /** An acquire found nothing free and waits. */
  waited: { readonly waiting: number; readonly lane: Lane };
  /** An acquire reached its deadline. */
  timedOut: { readonly waitedMs: number; readonly lane: Lane };
  /** A lease is older than `leakThresholdMs`; told once. `stack` says where it was acquired, if that is captured. */
  leaked: LeaseInfo & { readonly heldMs: number; readonly stack: string | undefined };
  /** A lease that was reported as leaked was released. */
  returned: LeaseInfo & { readonly heldMs: number };
  /** The bounds of the pool's size were changed. */
  resized: { readonly limits: PoolLimits; readonly before: PoolLimits };
  /** The pool is shut down and empty, but for so many resources in all whose `destroy` hung. */
  closed: { readonly abandoned: number };
  /** A hook of the factory or a listener failed, or a resource died. Nothing is thrown where nobody listens. */
  error: { readonly error: unknown; readonly source: ErrorSource };
}

/** Where an `error` event comes from. */
export type ErrorSource = "create" | "validate" | "reset" | "destroy" | "invalidate" | "listener";

/** The events that come with every lease. */
export const LEASE_EVENTS: readonly (keyof PoolEvents)[] = ["acquired", "released", "leaked", "returned"];

type Listener<E> = (event: E) => void;

/** Typed listeners; a subscription is a disposable. */
export class EventHub<M extends { error: { error: unknown; source: ErrorSource } }> {
  /** A list is never changed but replaced, so that it may be gone through while listeners come and go. */
  readonly #listeners = new Map<keyof M, readonly Listener<never>[]>();
  /** What has happened and is not told yet: names and events, by turns in two lists. */
  readonly #names: (keyof M)[] = [];
  readonly #outbox: M[keyof M][] = [];
  readonly #deliver = (): void => this.#tellAll();
  readonly #ofLeases: readonly (keyof M)[];
  /** Whether anybody listens to anything. */
  #heard = false;

  /** Those who are given times only, on the spot. */
  readonly recorders: Recorders = new Recorders(
    (error) => this.emit("error", { error, source: "listener" } as M["error"]),
    () => this.#settle(),
  );
  /** Whether anybody is told or given times of leases: mostly nobody is, and then none need be taken. */
  active = false;

  /** @param ofLeases Which events come with every lease. */
  constructor(ofLeases: readonly (keyof M)[]) {
    this.#ofLeases = ofLeases;
  }

  /**
   * Calls `listener` at each event of that name, until the returned subscription
   * is disposed of. A listener that throws, or returns a promise that is
   * rejected, is reported as an `error` event and disturbs nothing else.
   */
  on<K extends keyof M>(name: K, listener: Listener<M[K]>): Disposable {
    // A wrapper of its own, so that the same function subscribed twice is two subscriptions.
    const entry: Listener<M[K]> = (event) => listener(event);
    this.#listeners.set(name, [...this.#listeners.get(name) ?? [], entry]);
    this.#settle();
    return {
      [Symbol.dispose]: () => {
        const others = this.#listeners.get(name)?.filter((other) => other !== entry) ?? [];
        if (others.length > 0) this.#listeners.set(name, others);
        else this.#listeners.delete(name);
        this.#settle();
      },
    };
  }

  /** Whether anybody listens: an event that nobody hears need not be made. */
  has(name: keyof M): boolean {
    return this.#heard && this.#listeners.has(name);
  }

  /**
   * Tells everybody who listens, in a microtask: what a listener does to the
   * pool must not happen while the pool is about to change. Never throws.
   */
  emit<K extends keyof M>(name: K, event: M[K]): void {
    if (!this.has(name)) return;
    this.#names.push(name);
    if (this.#outbox.push(event) === 1) queueMicrotask(this.#deliver);
  }

  #settle(): void {
    this.#heard = this.#listeners.size > 0;
    this.active = this.recorders.any || this.#ofLeases.some((name) => this.#listeners.has(name));
  }

  #tellAll(): void {
    const names = this.#names;
    const outbox = this.#outbox;
    // What is emitted meanwhile is told in the same turn, behind what came before it.
    for (let next = 0; next < outbox.length; next++) {
      const listeners = this.#listeners.get(names[next] as keyof M);
      if (listeners) { for (const listener of listeners) this.#tell(listener, names[next], outbox[next] as never); }
    }
    names.length = 0;
    outbox.length = 0;
  }

  #tell(listener: Listener<never>, name: keyof M | undefined, event: never): void {
    observe(() => listener(event), (error) => {
      // A failing error listener has nobody left to tell.
      if (name !== "error") this.emit("error", { error, source: "listener" } as M["error"]);
    });
  }
}
