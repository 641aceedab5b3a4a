/**
 * Faults that are put into the adaptive limit and the pools that it drives on purpose, to see a test fail.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

/** Each fault that the tests catch. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "resilience/adaptive_limit.ts",
    find: "inFlight >= this.#limit * 0.95",
    replace: "inFlight >= 0",
    what: "calls below the limit count",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "const isNews = call.at > this.#decreasedAt &&",
    replace: "const isNews =",
    what: "calls that began before the last decrease decrease the limit again",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "now - this.#decreasedAt >= roundMs",
    replace: "true",
    what: "the limit decreases more than once per round",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "call.inFlight < this.#limit / 2",
    replace: "false",
    what: "an overload far below the limit decreases it",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: '(outcome === "ignored" && latency < usual)',
    replace: "(false)",
    what: "aborted calls count with the time they took",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "isUp ? below > 0.8 : below < 0.2 && !isShift",
    replace: "false",
    what: "a step that has no effect does not lead to the next one",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "cohort.isFull && now - cohort.lastStartAt >=",
    replace: "false && now - cohort.lastStartAt >=",
    what: "a call that never ends stops the limit",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "this.#min, Math.min(this.#max, limit)",
    replace: "this.#min, limit",
    what: "the limit exceeds its maximum",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "Math.round(low * (high / low) ** below)",
    replace: "high",
    what: "a step that crosses the capacity moves the limit to its upper end",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "this.#probe(false, step, { mean: cohort.mean, error }, now, true)",
    replace: "this.#probe(false, this.#firstStep(), { mean: cohort.mean, error }, now, true)",
    what: "a rise of latency leads to a small step",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "change > Math.log(8) ||",
    replace: "",
    what: "a rise to 10 times the latency is confirmed as slowly as a small one",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "cohort.fastShare <= 0.25",
    replace: "true",
    what: "a pause that slows some calls of a round lowers the limit",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "if (back > 0.1) return this.#probe(true, back, level, now);",
    replace: "",
    what: "the limit before a rise that was a pause is not tried again",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "Math.max(0, to - from)",
    replace: "0",
    what: "calls that begin before a higher limit is reached count for it",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "isUp && !isRepeated && this.#memory.mayHold(this.#limit)",
    replace: "false",
    what: "a pause keeps the limit from rising",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "this.#limit = this.#max;\n    this.#startOver();",
    replace: "this.#limit = this.#max;",
    what: "a lower maximum leaves an experiment whose two limits are equal",
  },
  {
    file: "resilience/cohort.ts",
    find: "if (this.isFull || this.#skipped-- > 0) return false;",
    replace: "if (this.isFull) return false;",
    what: "a cohort skips no calls",
  },
  {
    file: "resilience/cohort.ts",
    find: "    this.#started--;\n",
    replace: "",
    what: "a call that says nothing counts as begun, and none replaces it",
  },
  {
    file: "resilience/cohort.ts",
    find: "value <= this.#usual",
    replace: "value > this.#usual",
    what: "slow calls count as fast",
  },
  {
    file: "resilience/limit_refusals.ts",
    find: "if (this.#isAlone && inFlight <= this.#lowered) return true;",
    replace: "",
    what: "after a decrease, a refusal that is alone lowers the limit again, and none is ever usual",
  },
  {
    file: "resilience/limit_refusals.ts",
    find: "this.#isAlone = this.#answered >= APART;",
    replace: "this.#isAlone = true;",
    what: "refusals one after another do not lower the limit once it was lowered",
  },
  {
    file: "resilience/limit_refusals.ts",
    find: "return this.#refused + this.#refusedBefore <= most;",
    replace: "return false;",
    what: "usual refusals lower the limit",
  },
  {
    file: "resilience/limit_refusals.ts",
    find: "now >= this.#usualUntil",
    replace: "false",
    what: "refusals that were usual once always are",
  },
  {
    file: "resilience/limit_memory.ts",
    find: "this.#peak === 0 || limit",
    replace: "limit",
    what: "before any limit has held, one pause keeps it from rising",
  },
  {
    file: "resilience/limit_memory.ts",
    find: "Math.max(0, latency - this.#floor)",
    replace: "0 * latency",
    what: "several limits push each other up without an end",
  },
  {
    file: "resilience/limit_steps.ts",
    find: "from < peak * HELD ? Math.min(to, Math.round(peak)) : to",
    replace: "to",
    what: "a limit that recovers exceeds what has held",
  },
  {
    file: "resilience/limit_steps.ts",
    find: "to < held ? MAX_STEP : 0",
    replace: "1",
    what: "beyond what has held, steps stay large",
  },
  {
    file: "resilience/limit_steps.ts",
    find: "limit < peak / 2 ?",
    replace: "false ?",
    what: "capacity that returns is found late",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "    this.#max = max;\n",
    replace: "",
    what: "a ceiling that is set before the algorithm is loaded is ignored",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "    this.#limit.max = max;\n",
    replace: "",
    what: "a later ceiling is ignored",
  },
  {
    file: "pool/capacity.ts",
    find: "Math.min(unreserved, Math.max(1, this.#adapted))",
    replace: "Math.min(unreserved, Math.max(0, this.#adapted))",
    what: "the limit falls to 0",
  },
  {
    file: "pool/capacity.ts",
    find: "return this.#reserved + this.#unreserved;",
    replace: "return this.#unreserved;",
    what: "the limit does not show the reserved connections",
  },
  {
    file: "pool/dispatcher.ts",
    find: "if (after > before && this.#queue.size > 0) this.schedule();",
    replace: "",
    what: "waiters are not served when the limit rises",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "if (this.#options.isDryRun) this.#report(limit.limit);\n    else this.#pool",
    replace: "this.#pool",
    what: "a dry run applies the limit",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "if (!options.isDryRun) pool.adapt(INITIAL_LIMIT);",
    replace: "",
    what: "the limit begins at its ceiling",
  },
];
