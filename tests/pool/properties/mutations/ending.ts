/**
 * Faults in leases that have ended, in resizes, in the shutdown and in what
 * others throw.
 *
 * @module
 */
import type { Mutation } from "./mutation.ts";

/** Mutations of leases, limits, the shutdown and events. */
export const ENDING: readonly Mutation[] = [
  {
    file: "lease.ts",
    find: "    this.#slot = undefined;\n    slot.owner.giveBack",
    replace: "    slot.owner.giveBack",
    what: "a lease can be released twice",
    caughtBy: [15],
  },
  {
    file: "lease.ts",
    find: "if (!slot) throw this.#extras?.revoked ? new LateReleaseError() : new DoubleReleaseError();",
    replace: "if (!slot) return;",
    what: "a second release is passed over in silence",
    caughtBy: [16],
  },
  {
    file: "resource_pool.ts",
    find: "if (!lease) throw new ForeignReleaseError();",
    replace: "if (!lease) return;",
    what: "the release of a stranger is passed over in silence",
    caughtBy: [16],
  },
  {
    file: "lease.ts",
    find: "    return this.#slot !== undefined;",
    replace: "    return true;",
    what: "an ended lease says that it lasts",
    caughtBy: [17],
  },
  {
    file: "lease.ts",
    find: "    if (!this.#slot) throw new LeaseReleasedError();\n    return this.#slot.resource;",
    replace: "    return this.#slot?.resource as T;",
    what: "the resource of an ended lease is undefined instead of an error",
    caughtBy: [17],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#inventory.shrink();\n",
    replace: "",
    what: "what is free beyond a lower limit stays",
    caughtBy: [21],
  },
  {
    file: "limits.ts",
    find: "    this.#unreserved = limits.maxConnections - limits.reservedConnections;\n",
    replace: "    this.#unreserved ||= limits.maxConnections - limits.reservedConnections;\n",
    what: "a resize does not reach the account of those who are not admin",
    caughtBy: [21],
  },
  {
    file: "inventory.ts",
    find: '    if (this.#oversized) return "shrunk";\n',
    replace: "",
    what: "what comes back beyond a lower limit stays",
    caughtBy: [21],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#waiters.dismissAll(() => withoutStack(() => new PoolClosedError()));\n",
    replace: "",
    what: "a shutdown leaves those who wait where they are",
    caughtBy: [22],
  },
  {
    file: "resource_pool.ts",
    find: "return this.#shutdown.promise;",
    replace: "return Promise.resolve();",
    what: "a second shutdown says at once that all is over",
    caughtBy: [22],
  },
  {
    file: "resource_pool.ts",
    find: "else shutdown.timer = this.#clock.setTimer(() => this.#cut(), deadlineMs);",
    replace: "",
    what: "a shutdown has no deadline",
    caughtBy: [22],
  },
  {
    file: "inventory.ts",
    find: "    this.#creations.stop();\n",
    replace: "",
    what: "a shutdown lets resources be made",
    caughtBy: [22],
  },
  {
    file: "aborts.ts",
    find: '    signal.removeEventListener("abort", watched.listener);\n',
    replace: "",
    what: "who was served still listens to its signal",
    caughtBy: [23],
  },
  {
    file: "hook_run.ts",
    find: "    this.#timer?.cancel();\n",
    replace: "",
    what: "the timeout of a hook outlives it",
    caughtBy: [23],
  },
  {
    file: "resource_pool.ts",
    find: "    shutdown.finished = true;\n    shutdown.timer?.cancel();\n",
    replace: "    shutdown.finished = true;\n",
    what: "the deadline of a shutdown outlives it",
    caughtBy: [23],
  },
  {
    file: "sweeper.ts",
    find: "    this.#stopped = true;\n    this.#at = Infinity;\n    this.#timer?.cancel();",
    replace: "    this.#stopped = true;\n    this.#at = Infinity;",
    what: "the timer of the sweep outlives the pool",
    caughtBy: [23],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#waiters.stop();\n",
    replace: "",
    what: "the timer of the deadlines outlives the pool",
    caughtBy: [23],
  },
  {
    file: "events.ts",
    find: 'if (name !== "error") this.emit("error", { error, source: "listener" } as M["error"]);',
    replace: "if (name !== undefined) this.#listeners.delete(name);",
    what: "one listener that throws silences all others",
    caughtBy: [24],
  },
  {
    file: "events.ts",
    find: "    names.length = 0;\n    outbox.length = 0;",
    replace: "    names.length = 0;",
    what: "after the first events nobody is told of any more",
    caughtBy: [10],
  },
];
