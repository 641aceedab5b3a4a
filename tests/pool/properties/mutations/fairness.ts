/**
 * Faults in how flows share the lanes.
 *
 * @module
 */
import type { Mutation } from "./mutation.ts";

/** Mutations of the queue of flows and of its use. */
export const FAIRNESS: readonly Mutation[] = [
  {
    file: "fair_queue.ts",
    find: "this.#turns.first?.tickets.head?.waiter",
    replace: "this.#turns.first?.tickets.tail?.waiter",
    what: "the latest waiter of a flow is served first",
    caughtBy: [6],
  },
  {
    file: "fair_queue.ts",
    find: "    flow.held++;\n    this.#virtualTime",
    replace: "    this.#virtualTime",
    what: "a lease that was waited for is not counted as held by its flow",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "  if (heldByA !== heldByB) return heldByA < heldByB;\n",
    replace: "",
    what: "the leases that a flow holds do not matter",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "  const heldByA = a.held * b.weight;\n  const heldByB = b.held * a.weight;",
    replace: "  const heldByA = a.held;\n  const heldByB = b.held;",
    what: "the weight of a flow does not matter for what it may hold",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "a.tag === b.tag ? a.order < b.order : a.tag < b.tag",
    replace: "a.order < b.order",
    what: "the weight of a flow does not matter for its turns",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "    this.#virtualTime = Math.max(this.#virtualTime, flow.tag);\n",
    replace: "",
    what: "the virtual time stands still: flows that return come before those that wait",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find:
      "    if (flow.tickets.size > 0) this.#takeTurn(flow);\n  }\n\n  /** Counts in a lease that was granted without",
    replace:
      "    if (flow.tickets.size > 0) this.#turns.update(flow.turn);\n  }\n\n  /** Counts in a lease that was granted without",
    what: "a flow that was served keeps its turn",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "a.order < b.order",
    replace: "a.order > b.order",
    what: "of equal flows, the latest is served first",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "    flow.held--;\n    if (flow.tickets.size > 0) this.#turns.update(flow.turn);",
    replace: "    flow.held--;\n    if (flow.tickets.size > 0) return;",
    what: "a released lease does not bring the turn of its flow forward",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "    if (flow.held === 0) this.#flows.delete(flow.key);",
    replace: "",
    what: "flows are remembered for ever",
    caughtBy: [28],
  },
  {
    file: "fair_queue.ts",
    find: "    if (flow.held === 0) this.#flows.delete(flow.key);",
    replace: "    this.#flows.delete(flow.key);",
    what: "a flow is forgotten while it holds leases",
    caughtBy: [28],
  },
  {
    file: "indexed_heap.ts",
    find: "    this.#rise(entry);\n    this.#sink(entry);",
    replace: "    this.#rise(entry);",
    what: "a flow that holds more than before keeps its position",
    caughtBy: [28],
  },
  {
    file: "indexed_heap.ts",
    find: "    this.update(last);\n",
    replace: "",
    what: "the flow that takes the position of one that leaves is not moved from there",
    caughtBy: [28],
  },
  {
    file: "indexed_heap.ts",
    find: "left && right && this.#precedes(right.value, left.value) ? right : left",
    replace: "left",
    what: "a flow that moves is compared with half of the others",
    caughtBy: [28],
  },
  {
    file: "dispatcher.ts",
    find: "const share = this.#isFair ? this.#queue.hold(lane, flow) : undefined;",
    replace: "const share = undefined as LeaseShare | undefined;",
    what: "a lease that was granted at once is not counted as held by its flow",
    caughtBy: [28],
  },
  {
    file: "dispatcher.ts",
    find: "    if (this.#isFair) leaseAccess.shareOf(lease)?.release();\n    const observed",
    replace: "    const observed",
    what: "a released lease counts as held by its flow",
    caughtBy: [28],
  },
  {
    file: "wait_queue.ts",
    find: "    else if (ticket) ticket.flow.queue.remove(ticket);\n",
    replace: "    else if (ticket) return;\n",
    what: "an aborted waiter stays in the queue of its flow",
    caughtBy: [28],
  },
  {
    file: "wait_queue.ts",
    find: "  if (!a || !b) return a ?? b;\n",
    replace:
      "  if (!a || !b) return a ?? b;\n  [a, b] = [a.queue.flows?.first ?? a, b.queue.flows?.first ?? b] as [Waiter<T>, Waiter<T>];\n",
    what: "the waiter whose turn it is decides between lanes, and not the oldest",
    caughtBy: [8],
  },
  {
    file: "fair_queue.ts",
    find: "    if (flow.tickets.size > 0) return this.#lengths.update(flow.length);\n",
    replace: "    if (flow.tickets.size > 0) return;\n",
    what: "a flow counts as long as it ever was",
    caughtBy: [29],
  },
  {
    file: "fair_queue.ts",
    find: "a.tickets.size * b.weight > b.tickets.size * a.weight",
    replace: "a.tickets.size > b.tickets.size",
    what: "the weight of a flow does not matter for its part of the queue",
    caughtBy: [29],
  },
  {
    file: "wait_queue.ts",
    find: "    return longest.tickets.tail?.waiter ?? newcomer;",
    replace: "    return newcomer;",
    what: "a full queue rejects the newcomer, whatever flow floods it",
    caughtBy: [29],
  },
  {
    file: "wait_queue.ts",
    find: "longest.tickets.tail?.waiter",
    replace: "longest.tickets.head?.waiter",
    what: "a full queue rejects the oldest waiter of the flow that has the most",
    caughtBy: [29],
  },
  {
    file: "wait_queue.ts",
    find: "LANES.slice(LANES.indexOf(newcomer.queue.lane))",
    replace: "LANES",
    what: "a newcomer takes the position of a waiter of a higher lane",
    caughtBy: [29],
  },
  {
    file: "wait_queue.ts",
    find: "      if (other && isLonger(other, longest)) longest = other;",
    replace: "      if (other && !isLonger(longest, other)) longest = other;",
    what: "a newcomer takes the position of a waiter of a flow that has as many",
    caughtBy: [29],
  },
];
