/**
 * Faults that are put into circuit breaker, retry budget and guard of targets on purpose, to see a test fail.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

const BREAKER = "resilience/circuit_breaker.ts";
const BUDGET = "resilience/retry_budget.ts";
const COUNTS = "resilience/sliding_counts.ts";
const ATTEMPTS = "resilience/attempts.ts";
const GUARD = "supabase/calls/target_guard.ts";
const CALL = "supabase/calls/call.ts";

/** Each fault that the tests catch. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: BREAKER,
    find: '      if (permit === circuit.permit && outcome !== "ignored") {\n',
    replace: '      if (outcome !== "ignored") {\n',
    what: "results of an earlier generation count while the circuit is closed",
  },
  {
    file: BREAKER,
    find: 'circuit.state === "half-open" && circuit.probes.delete(permit)',
    replace: 'circuit.state === "half-open"',
    what: "results of an earlier generation count while the circuit is half open",
  },
  {
    file: BREAKER,
    find: '      if (outcome === "failed") this.#open("probe failed", this.#now());\n      else if',
    replace: "      if",
    what: "a probe that fails leaves the circuit half open",
  },
  {
    file: BREAKER,
    find: "filter((begun) => now < begun + probeTimeoutMs)",
    replace: "filter(() => true)",
    what: "a probe that never settles keeps the circuit half open",
  },
  {
    file: BREAKER,
    find: "    return timely.length < maxProbes ? now :",
    replace: "    return timely.length <= maxProbes ? now :",
    what: "one probe more than maxProbes is under way",
  },
  {
    file: BREAKER,
    find: '    return this.#probe(circuit.state === "half-open" ? circuit : this.#halfOpen(), now);\n',
    replace: "    return this.#probe(this.#halfOpen(), now);\n",
    what: "each probe begins a generation: that of a slow target is never of the current one",
  },
  {
    file: BREAKER,
    find: "    if (earliest && circuit.probes.size > this.#options.maxProbes + MAX_LATE_PROBES)",
    replace: "    if (earliest && false)",
    what: "probes that never settle are kept without limit",
  },
  {
    file: BREAKER,
    find: "now - circuit.failedAt > windowMs ? 1 : ",
    replace: "",
    what: "failures of long ago count as failures in a row",
  },
  {
    file: BREAKER,
    find: "      circuit.consecutive = 0;\n      return;\n",
    replace: "      return;\n",
    what: "a success does not end failures in a row",
  },
  {
    file: BREAKER,
    find: "calls >= minimumCalls && ",
    replace: "",
    what: "one failure of one call is a share of 100 %",
  },
  {
    file: BREAKER,
    find: "    this.#window.clear();\n    this.#circuit = this.#newClosed();\n",
    replace: "    this.#circuit = this.#newClosed();\n",
    what: "a circuit that has closed counts the failures of the outage before",
  },
  {
    file: BREAKER,
    find: "    if (this.isClosed) this.#openedAt = now;\n",
    replace: "    this.#openedAt = now;\n",
    what: "openMs of closed is the time since the last probe, not of the outage",
  },
  {
    file: BREAKER,
    find: "(askedMs >= 0 ? Math.min(askedMs, openMs * 1.5) : openMs)",
    replace: "askedMs",
    what: "a seed keeps a circuit open for as long as it says",
  },
  {
    file: BREAKER,
    find: "    this.#forced = undefined;\n    this.#window.clear();\n    this.#circuit = this.#begin(state);\n",
    replace: "    this.#window.clear();\n    this.#circuit = this.#begin(state);\n",
    what: "restore() leaves a circuit forced",
  },
  {
    file: BREAKER,
    find: "    if (!this.#forced) this.#emitOpened(reason, delayMs);\n",
    replace: "    this.#emitOpened(reason, delayMs);\n",
    what: "a circuit that is forced closed emits that its rules have opened it",
  },
  {
    file: BREAKER,
    find: "    else if (!wasClosed && this.isClosed) this.#emitClosed(now);\n",
    replace: '    else if (state === "closed") this.#emitClosed(now);\n',
    what: "nothing is emitted when a circuit is no longer forced open",
  },
  {
    file: BREAKER,
    find: '      this.#hub.emit("error", { error });\n      return "ignored";\n',
    replace: "      throw error;\n",
    what: "a judge that throws replaces the result of the call, and its probe is lost",
  },
  {
    file: BUDGET,
    find: "    if (counts.marked + 1 > this.#reserve",
    replace: "    if (counts.marked > this.#reserve",
    what: "the budget allows one retry more",
  },
  {
    file: BUDGET,
    find: "    counts.add(0, 1, now);\n",
    replace: "",
    what: "retries are not counted",
  },
  {
    file: BUDGET,
    find: "    counts.advance(now);\n    if",
    replace: "    if",
    what: "requests of an hour ago allow retries now",
  },
  {
    file: COUNTS,
    find: "Math.min(latest - this.#latest, BUCKETS)",
    replace: "latest - this.#latest",
    what: "a freeze of minutes makes the next event loop through every bucket of it",
  },
  {
    file: COUNTS,
    find: "    if (!(latest > this.#latest)) return;\n",
    replace: "",
    what: "an event of an earlier instant moves the window back",
  },
  {
    file: ATTEMPTS,
    find: ".slice(-KEPT_ATTEMPTS)",
    replace: "",
    what: "the history of attempts has no bound",
  },
  {
    file: ATTEMPTS,
    find: "    const records = inner?.records ?? [",
    replace: "    const records = [",
    what: "the history has one entry for the attempts of a retry inside",
  },
  {
    file: ATTEMPTS,
    find: "known.find((text) => CODE.test(text))",
    replace: 'known.find((text) => text !== "")',
    what: "the history shows what a user wrote as a code",
  },
  {
    file: GUARD,
    find: "  if (lateMs > FROZEN_MS || isUpload) return IGNORED;\n",
    replace: "  if (isUpload) return IGNORED;\n",
    what: "the calls of an isolate that was frozen are failures of the target",
  },
  {
    file: GUARD,
    find: "  if (lateMs > FROZEN_MS || isUpload) return IGNORED;\n",
    replace: "  if (lateMs > FROZEN_MS) return IGNORED;\n",
    what: "a stream of the caller that stops is a failure of the target",
  },
  {
    file: GUARD,
    find: "  if (aborted || error instanceof PoolError ||",
    replace: "  if (error instanceof PoolError ||",
    what: "a caller that leaves is a failure of the target",
  },
  {
    file: GUARD,
    find: "  return isOfNetwork(error) ? UNREACHABLE : IGNORED;\n",
    replace: "  return UNREACHABLE;\n",
    what: "a header that cannot be sent is a failure of the target",
  },
  {
    file: GUARD,
    find: "? REJECTED : LIMITED;",
    replace: "? REJECTED : OVERLOADED;",
    what: "429 opens the circuit",
  },
  {
    file: GUARD,
    find: "  if (status < 502 && status !== 429) return REJECTED;\n",
    replace: "  if (status < 500 && status !== 429) return REJECTED;\n  if (status === 500) return UNREACHABLE;\n",
    what: "an error of a statement opens the circuit",
  },
  {
    file: GUARD,
    find: "  if (CHOSEN_BY_FUNCTION.test(proxy)) return REJECTED;\n",
    replace: "",
    what: "a function of the database opens the circuit by its status",
  },
  {
    file: GUARD,
    find: '    if (isFunction && this.#functions >= MAX_FUNCTIONS) return this.guardOf("functions");\n',
    replace: "",
    what: "the number of functions has no bound",
  },
  {
    file: GUARD,
    find: "!isFunction && !isShared && this.#guards.size - this.#functions >= MAX_PARTS",
    replace: "!isFunction && !isShared && this.#guards.size >= MAX_PARTS",
    what: "functions use up the guards of other parts",
  },
  {
    file: GUARD,
    find: "    if (!isFunction && target",
    replace: "    if (target",
    what: "the prefix of a function is looked for as that of a service",
  },
  {
    file: GUARD,
    find: "    for (const wake of waiting) wake();\n",
    replace: "",
    what: "calls that wait for a circuit wait on when it has closed",
  },
  {
    file: GUARD,
    find: "    return this.#waiting.size < this.#maxWaiting;\n",
    replace: "    return true;\n",
    what: "any number of calls waits for a circuit",
  },
  {
    file: CALL,
    find:
      "          if (guarded) guard?.settle(guarded, verdictOnResponse(answer.response));\n          guarded = undefined;\n",
    replace: "          if (guarded) guard?.settle(guarded, verdictOnResponse(answer.response));\n",
    what: "a call whose response is an error settles twice",
  },
  {
    file: CALL,
    find: "          if (guarded) guard?.settle(guarded, this.#verdictOn(error, request));\n",
    replace: "",
    what: "a probe that fails without a response never settles",
  },
  {
    file: CALL,
    find: "if (!replicas) guard?.check();",
    replace: "",
    what: "a call to an open circuit takes a slot first",
  },
  {
    file: CALL,
    find: "          if (retries === 0 && host.retriesReads) budget",
    replace: "          if (host.retriesReads) budget",
    what: "retries count as requests of the budget",
  },
  {
    file: CALL,
    find: "          if (isOpen) openMs += delayMs;\n",
    replace: "",
    what: "a read without a deadline waits for a circuit for ever",
  },
  {
    file: CALL,
    find: "      guard?.leave(wake);\n",
    replace: "",
    what: "what has waited for a circuit counts as waiting",
  },
  {
    file: CALL,
    find: "  return guard?.isRestricted === true || budget",
    replace: "  return budget",
    what: "reads that could wait for the circuit are lost when the budget is used up",
  },
  {
    file: CALL,
    find: "      if (!(reason instanceof CircuitOpenError)) this.#attempts?.fail(reason);\n",
    replace: "      this.#attempts?.fail(reason);\n",
    what: "a rejection by the circuit is an attempt of the history",
  },
];
