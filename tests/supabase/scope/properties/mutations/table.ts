/**
 * Faults that are put into the scope on purpose, to see the property fail.
 *
 * @module
 */

import type { Mutation } from "../../../../support/mutations.ts";

/** Each fault that the property catches. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "scope/slot_holder.ts",
    find: "      if (wait.members.size > 0) return;\n",
    replace: "      if (this.#members.length > 0) return;\n",
    what: "a wait without members stays in the queue while the scope has another member",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    if (this.#waits?.get(wait.key) !== wait) return slot[Symbol.dispose]();\n",
    replace: "",
    what: "a slot that is granted to a wait without members is kept",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    if (this.#waits?.get(wait.key) !== wait) return slot[Symbol.dispose]();\n",
    replace: "    if (this.#waits?.get(wait.key) !== wait) return;\n",
    what: "a slot that is granted to a wait without members is not released",
  },
  {
    file: "scope/slot_holder.ts",
    find: "      if (each !== wait) each.controller.abort();\n",
    replace: "",
    what: "the other waits of a scope stay in the queue when one is granted",
  },
  {
    file: "scope/slot_holder.ts",
    find: "        remove(this.#members, member);\n",
    replace: "",
    what: "a member whose wait failed stays a member",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    if (this.#members.length === 0) this.#release();\n    return kept;\n",
    replace: "    return kept;\n",
    what: "the last member does not release the slot",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    if (this.#members.length === 0) this.#release();\n    return kept;\n",
    replace: "    this.#release();\n    return kept;\n",
    what: "each member releases the slot",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    for (const member of this.#members.splice(0)) if (this.#waits) this.#withdraw(member, reason);\n",
    replace: "    this.#members.splice(0);\n",
    what: "an abort leaves waits in the queue",
  },
  {
    file: "scope/slot_holder.ts",
    find: "member !== wait.startedBy && ms > 0",
    replace: "member !== wait.startedBy",
    what: "a member waits past its deadline",
  },
  {
    file: "scope/slot_holder.ts",
    find: "      if (member.isView) this.leave(member);\n",
    replace: "",
    what: "a client keeps the slot that it lost",
  },
  {
    file: "scope/slot_holder.ts",
    find: "      wait.controller.abort(reason);\n      return;\n",
    replace: "      return;\n",
    what: "a wait that its last member leaves stays in the pool's queue",
  },
  {
    file: "scope/slot_holder.ts",
    find: "    if (first) this.#start(wait.key, wait.lane, leftMs, others, first);\n    else if",
    replace: "    if",
    what: "members with time left are forgotten when the first one's time is up",
  },
  {
    file: "scope/caller_scope.ts",
    find: "      fetch.end();\n      this.#slot.leave(fetch);\n",
    replace: "      fetch.end();\n",
    what: "close() does not take unreleased leases out of the slot",
  },
  {
    file: "scope/caller_scope.ts",
    find: "    if (quiet) this.#leaveWhenIdle(view);\n    else this.#slot.leave(view);\n",
    replace: "    if (!quiet) this.#slot.leave(view);\n",
    what: "a client whose bodies have been read keeps the slot",
  },
  {
    file: "scope/caller_scope.ts",
    find: "    this.#slot.abort(reason);\n",
    replace: "",
    what: "abort() keeps the slot",
  },
  {
    file: "scope/caller_scope.ts",
    find: '    else signal.addEventListener("abort", this.#onSignal, { once: true });\n',
    replace: "",
    what: "the scope's signal does nothing",
  },
  {
    file: "scope/caller_scope.ts",
    find: "    this.#released = true;\n    this.#fetch.end();\n    this.#slot.leave(this.#fetch);\n",
    replace: "    this.#released = true;\n    this.#fetch.end();\n",
    what: "a lease that is disposed of keeps the slot",
  },
  {
    file: "scope/caller_scope.ts",
    find: "    for (const view of this.#views) this.#leaveWhenIdle(view);\n",
    replace: "",
    what: "a client of before keeps the slot between calls",
  },
  {
    file: "scope/caller_scope.ts",
    find: "    if (this.#releasesBetweenCalls) this.#leaveWhenIdle(fetch);\n",
    replace: "",
    what: "a later client keeps the slot between calls",
  },
  {
    file: "calls/call.ts",
    find: "    if (this.#host.onIdle) this.#host.checkIdle();\n",
    replace: "",
    what: "the last call of an idle client does not release the slot",
  },
  {
    file: "calls/stream_reader.ts",
    find: '      this.#state = "stalled";\n',
    replace: "",
    what: "a body whose reader has stopped keeps the slot",
  },
  {
    file: "calls/lease_fetch.ts",
    find: "    for (const call of this.#pending ?? []) if (call.usesSlot) return true;\n",
    replace: "",
    what: "a client leaves the slot while a call needs it",
  },
  {
    file: "calls/call.ts",
    find: "    reject?.(this.signal.reason);\n",
    replace: "",
    what: "a call that waits for the slot never settles when it is aborted",
  },
];
