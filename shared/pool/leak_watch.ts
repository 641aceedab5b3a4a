/**
 * Leases that are held for too long.
 *
 * @module
 */
import type { EventHub, PoolEvents } from "./events.ts";
import type { Lease } from "./lease.ts";
import type { Slot } from "./slot.ts";

/** Reports each lease that is older than a threshold once, and once more when it comes back. */
export class LeakWatch<T extends object> {
  readonly #events: EventHub<PoolEvents<T>>;
  readonly #thresholdMs: number;

  constructor(events: EventHub<PoolEvents<T>>, thresholdMs: number) {
    this.#events = events;
    this.#thresholdMs = thresholdMs;
  }

  /** Looks at every lease, and says when the next one falls due. */
  look(slots: Iterable<Slot<T>>, now: number): number {
    let next = Infinity;
    for (const { state } of slots) {
      if (state.kind !== "lent" || state.leaked) continue;
      const heldMs = now - state.acquiredAt;
      if (heldMs >= this.#thresholdMs) this.#leaked(state, heldMs);
      else next = Math.min(next, state.acquiredAt + this.#thresholdMs);
    }
    return next;
  }

  /** Tells of a lease that comes back, and first that it was leaked where no look has found it, as after a freeze. */
  released(lease: Lease<T>, resource: T, now: number): void {
    const heldMs = now - lease.acquiredAt;
    if (heldMs >= this.#thresholdMs && !lease.leaked) this.#leaked(lease, heldMs);
    if (this.#events.has("released")) this.#events.emit("released", { lease, resource, heldMs });
    if (lease.leaked) this.#events.emit("returned", { lease, heldMs });
  }

  #leaked(lease: Lease<T>, heldMs: number): void {
    lease.markLeaked();
    this.#events.emit("leaked", { lease, heldMs, stack: lease.stack });
  }
}
