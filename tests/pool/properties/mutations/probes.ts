/**
 * Faults of the probe slot, and of what holders and listeners can reach.
 *
 * @module
 */
import type { Mutation } from "./mutation.ts";

/** Mutations of the probe slot, and of what holders and listeners can reach. */
export const PROBES: readonly Mutation[] = [
  {
    file: "probe_slot.ts",
    find: '    const lease = new LeaseRecord(slot, "probe", now, 0, undefined);',
    replace:
      '    const lease = new LeaseRecord(slot, "probe", now, 0, undefined);\n    this.#context.capacity.lease("normal");',
    what: "a probe counts as a lease",
    caughtBy: [27],
  },
  {
    file: "probe_slot.ts",
    find: "    this.#destroy(slot.resource);\n  }\n\n  /** Rejects",
    replace: "    this.#context.hooks.destroy(slot.resource, () => {});\n    this.#free();\n  }\n\n  /** Rejects",
    what: "the probe slot is free before its resource has closed",
    caughtBy: [27],
  },
  {
    file: "probe_slot.ts",
    find: "    this.#held = false;\n    this.#serve();",
    replace: "    this.#held = false;",
    what: "a waiting probe is not served when the slot becomes free",
    caughtBy: [27],
  },
  {
    file: "probe_slot.ts",
    find: "    this.#expireOverdue(now);\n    const waiter",
    replace: "    const waiter",
    what: "after a freeze, a probe past its deadline is served",
    caughtBy: [4],
  },
  {
    file: "probe_slot.ts",
    find: "    this.#destroy(slot.resource);\n  }\n\n  /** Rejects",
    replace: "    this.#free();\n  }\n\n  /** Rejects",
    what: "the resource of a released probe is never destroyed",
    caughtBy: [15],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#probe.revoke();\n",
    replace: "",
    what: "a shutdown does not revoke a probe",
    caughtBy: [22],
  },
  {
    file: "probe_slot.ts",
    find: "    for (const waiter of [...this.#waiters]) this.#reject(waiter, new PoolClosedError());\n",
    replace: "",
    what: "a shutdown leaves probes in the queue",
    caughtBy: [22],
  },
  {
    file: "lease.ts",
    find: "    Object.freeze(this.prototype);\n",
    replace: "",
    what: "a holder can replace the methods of every lease",
    caughtBy: [16],
  },
  {
    file: "lease.ts",
    find: "slot.owner.release(this, slot, this.#lane, destroy);",
    replace: "slot.owner.release(this, slot, this.lane, destroy);",
    what: "the pool reads the lane of a lease where its holder can define it",
    caughtBy: [5],
  },
  {
    file: "lease.ts",
    find: "    const destroy = options?.destroy === true;\n    const slot = this.#slot;",
    replace:
      "    const slot = this.#slot;\n    this.#slot = undefined;\n    const destroy = options?.destroy === true;",
    what: "options that throw end a lease without a release",
    caughtBy: [16],
  },
  {
    file: "dispatcher.ts",
    find: 'this.#events.emit("acquired", { ...leaseInfo(lease, slot.id), waitedMs });',
    replace: 'this.#events.emit("acquired", { ...leaseInfo(lease, slot.id), waitedMs, lease } as never);',
    what: "an event carries a live lease",
    caughtBy: [16],
  },
];
