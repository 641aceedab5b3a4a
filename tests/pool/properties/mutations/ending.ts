/**
 * Faults in ended leases, in resizes, in the shutdown, and in failing listeners.
 *
 * @module
 */
import type { Mutation } from "./mutation.ts";

/** Mutations of leases, limits, the shutdown and events. */
export const ENDING: readonly Mutation[] = [
  {
    file: "lease.ts",
    find: "    this.#slot = undefined;\n    slot.owner.release",
    replace: "    slot.owner.release",
    what: "a lease can be released twice",
    caughtBy: [3],
  },
  {
    file: "lease.ts",
    find: "if (!slot) throw this.#extras?.revoked ? new LateReleaseError() : new DoubleReleaseError();",
    replace: "if (!slot) return;",
    what: "a second release is ignored without an error",
    caughtBy: [16],
  },
  {
    file: "resource_pool.ts",
    find: "if (!lease) throw new ForeignReleaseError();",
    replace: "if (!lease) return;",
    what: "a foreign release is ignored without an error",
    caughtBy: [16],
  },
  {
    file: "lease.ts",
    find: "    return this.#slot !== undefined;",
    replace: "    return true;",
    what: "an ended lease is active",
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
    find: "    this.#store.shrink();\n",
    replace: "",
    what: "idle resources above a lower maximum stay",
    caughtBy: [21],
  },
  {
    file: "capacity.ts",
    find: "    this.#unreserved = this.isHalved && adapted > 1 ? Math.floor(adapted / 2) : adapted;\n",
    replace: "    this.#unreserved ||= this.isHalved && adapted > 1 ? Math.floor(adapted / 2) : adapted;\n",
    what: "a resize does not change the room of the lanes other than admin",
    caughtBy: [21],
  },
  {
    file: "resource_store.ts",
    find: '      if (this.#isOverMax) return "shrunk";\n',
    replace: "",
    what: "released resources above a lower maximum stay",
    caughtBy: [21],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#queue.rejectAll(() => withoutStack(() => new PoolClosedError()));\n",
    replace: "",
    what: "a shutdown leaves waiters in the queue",
    caughtBy: [22],
  },
  {
    file: "resource_pool.ts",
    find: "return this.#shutdown.promise;",
    replace: "return Promise.resolve();",
    what: "a second shutdown resolves at once",
    caughtBy: [22],
  },
  {
    file: "resource_pool.ts",
    find: "else shutdown.timer = this.#clock.setTimer(() => this.#revokeAll(), deadlineMs);",
    replace: "",
    what: "a shutdown has no deadline",
    caughtBy: [22],
  },
  {
    file: "resource_store.ts",
    find: "    this.#creator.stop();\n",
    replace: "",
    what: "a shutdown does not stop creations",
    caughtBy: [22],
  },
  {
    file: "abort_registry.ts",
    find: '    signal.removeEventListener("abort", watched.listener);\n',
    replace: "",
    what: "a served waiter still listens to its signal",
    caughtBy: [23],
  },
  {
    file: "resource_hooks.ts",
    find: "    this.timer?.cancel();\n",
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
    find: "    this.#stopped = true;\n    this.dueAt = Infinity;\n    this.#timer?.cancel();",
    replace: "    this.#stopped = true;\n    this.dueAt = Infinity;",
    what: "the timer of the sweep outlives the pool",
    caughtBy: [23],
  },
  {
    file: "dispatcher.ts",
    find: "    this.#queue.stop();\n",
    replace: "",
    what: "the timer of the deadlines outlives the pool",
    caughtBy: [23],
  },
  {
    file: "../resilience/event_hub.ts",
    find: 'if (name !== "error") this.emit("error", this.#listenerError(error));',
    replace: "this.#listeners.delete(name);",
    what: "one listener that throws silences all others",
    caughtBy: [24],
  },
  {
    file: "../resilience/event_hub.ts",
    find: "    names.length = 0;\n    events.length = 0;",
    replace: "    names.length = 0;",
    what: "no event is delivered after the first ones",
    caughtBy: [10],
  },
];
