/**
 * Leases that are held for too long.
 *
 * @module
 */
import type { EventHub, LeaseInfo, PoolEvents } from "./events.ts";
import type { Lane } from "./lane.ts";
import { leaseAccess, type LeaseRecord } from "./lease.ts";
import type { Slot } from "./slot.ts";

/** Returns what events tell of a lease. */
export function infoOf(lease: LeaseRecord<object>, resourceId: number): LeaseInfo {
  return { leaseId: leaseAccess.idOf(lease), resourceId, lane: leaseAccess.laneOf(lease) as Lane };
}

/** Reports each lease that is older than a threshold once, and once more when it comes back. */
export class LeakWatch<T extends object> {
  readonly #events: EventHub<PoolEvents>;
  readonly #thresholdMs: number;

  constructor(events: EventHub<PoolEvents>, thresholdMs: number) {
    this.#events = events;
    this.#thresholdMs = thresholdMs;
  }

  /** Looks at every lease, and says when the next one falls due. */
  look(slots: Iterable<Slot<T>>, now: number): number {
    let next = Infinity;
    for (const { lease, id } of slots) {
      if (!lease || leaseAccess.isLeaked(lease)) continue;
      const acquiredAt = leaseAccess.acquiredAtOf(lease);
      const heldMs = now - acquiredAt;
      if (heldMs >= this.#thresholdMs) this.#leaked(lease, id, heldMs);
      else next = Math.min(next, acquiredAt + this.#thresholdMs);
    }
    return next;
  }

  /** Tells of a lease that comes back, and first that it was leaked where no look has found it, as after a freeze. */
  released(lease: LeaseRecord<T>, resourceId: number, now: number): void {
    const heldMs = now - leaseAccess.acquiredAtOf(lease);
    if (heldMs >= this.#thresholdMs && !leaseAccess.isLeaked(lease)) this.#leaked(lease, resourceId, heldMs);
    const leaked = leaseAccess.isLeaked(lease);
    if (!leaked && !this.#events.has("released")) return;
    const event = { ...infoOf(lease, resourceId), heldMs };
    this.#events.emit("released", event);
    if (leaked) this.#events.emit("returned", event);
  }

  #leaked(lease: LeaseRecord<T>, resourceId: number, heldMs: number): void {
    leaseAccess.markLeaked(lease);
    this.#events.emit("leaked", { ...infoOf(lease, resourceId), heldMs, stack: leaseAccess.stackOf(lease) });
  }
}
