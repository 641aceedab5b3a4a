/**
 * Leases that are held for too long.
 *
 * @module
 */
import type { LeaseInfo, PoolEventHub } from "./events.ts";
import type { Lane } from "./lane.ts";
import { leaseAccess, type LeaseRecord } from "./lease.ts";
import type { Slot } from "./slot.ts";

/** Returns what events say about a lease. */
export function leaseInfo(lease: LeaseRecord<object>, resourceId: number): LeaseInfo {
  return { leaseId: leaseAccess.idOf(lease), resourceId, lane: leaseAccess.laneOf(lease) as Lane };
}

/** Reports each lease that is older than a threshold once, and once more when it is released. */
export class LeakDetector {
  readonly #events: PoolEventHub;
  readonly #thresholdMs: number;

  constructor(events: PoolEventHub, thresholdMs: number) {
    this.#events = events;
    this.#thresholdMs = thresholdMs;
  }

  /** Reports the leases that have leaked. Returns when the next one falls due. */
  check(slots: Iterable<Slot<object>>, now: number): number {
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

  /** Emits the release of a lease; first the leak, where no check has found it, as after a freeze. */
  released(lease: LeaseRecord<object>, resourceId: number, now: number): void {
    const heldMs = now - leaseAccess.acquiredAtOf(lease);
    if (heldMs >= this.#thresholdMs && !leaseAccess.isLeaked(lease)) this.#leaked(lease, resourceId, heldMs);
    const leaked = leaseAccess.isLeaked(lease);
    if (!leaked && !this.#events.has("released")) return;
    const event = { ...leaseInfo(lease, resourceId), heldMs };
    this.#events.emit("released", event);
    if (leaked) this.#events.emit("returned", event);
  }

  #leaked(lease: LeaseRecord<object>, resourceId: number, heldMs: number): void {
    leaseAccess.markLeaked(lease);
    this.#events.emit("leaked", { ...leaseInfo(lease, resourceId), heldMs, stack: leaseAccess.stackOf(lease) });
  }
}
